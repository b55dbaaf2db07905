"""A driver of redis-py's Lock; ../README.md has its command line."""

import asyncio
import sys
import time

import redis.asyncio as redis

TTL = 10
DELAY = 0.001


async def cycle(client, name, hold=0):
    lock = client.lock(name, timeout=TTL, sleep=DELAY)
    await lock.acquire()
    if hold:
        await asyncio.sleep(hold)
    await lock.release()


async def each(tasks, millis, work):
    """Repeats the work in every task until the time is over."""
    end = time.monotonic() + millis / 1000

    async def one(nth):
        own = []
        while time.monotonic() < end:
            own.append(await work(nth))
        return own

    return await asyncio.gather(*(one(nth) for nth in range(tasks)))


async def cycles(client, key, tasks, millis, hold):
    async def work(nth):
        start = time.monotonic_ns()
        await cycle(client, f"{key}:{nth}", hold)
        return time.monotonic_ns() - start

    before = time.process_time_ns()
    times = sorted(sum(await each(tasks, millis, work), []))
    used = time.process_time_ns() - before
    at = lambda share: times[int((len(times) - 1) * share)]
    print(f"cycles {len(times)} {used} {at(0.5)} {at(0.99)}")


async def handoff(client, key, tasks, millis, hold):
    async def work(nth):
        lock = client.lock(key, timeout=TTL, sleep=DELAY)
        await lock.acquire()
        start = time.monotonic_ns()
        if hold:
            await asyncio.sleep(hold)
        end = time.monotonic_ns()
        await lock.release()
        return nth, start, end

    for own in await each(tasks, millis, work):
        for section in own:
            print(*section)


async def main():
    mode, urls, key, tasks, millis, hold = sys.argv[1:]
    if "," in urls:
        sys.exit("redis-py's Lock is for one server")
    # Tasks wait for a connection instead of failing for lack of one.
    pool = redis.BlockingConnectionPool.from_url(urls, max_connections=100, timeout=None)
    async with redis.Redis.from_pool(pool) as client:
        await cycle(client, "warm")
        print("connected", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        run = cycles if mode == "cycle" else handoff
        await run(client, key, int(tasks), int(millis), int(hold) / 1e6)


asyncio.run(main())
