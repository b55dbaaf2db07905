// A driver of node-redlock; ../README.md has its command line.
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

// The package's own map of exports leaves out its modern half.
const require = createRequire(import.meta.url);
const Redis = require("ioredis");
const Redlock = require("redlock").default;

const TTL = 10_000;
const DELAY = 1;

const [mode, urls, key, tasks, millis, hold] = process.argv.slice(2);
const hasQuorum = urls.includes(",");
const clients = urls.split(",").map((url) => new Redis(url));
const locks = new Redlock(clients, {
  retryCount: hasQuorum ? 0 : -1,
  retryDelay: DELAY,
  retryJitter: 0,
  automaticExtensionThreshold: 0,
});
const now = () => process.hrtime.bigint();
const stay = () => Number(hold) > 0 && sleep(Number(hold) / 1000);

/**
 * Over several servers each try is an acquire of its own: within one, the votes
 * of a minority stay until their ttl, in the way of everybody.
 */
async function acquire(name) {
  for (;;) {
    try {
      return await locks.acquire([name], TTL);
    } catch (error) {
      if (!hasQuorum) throw error;
      await sleep(DELAY + 10 * Math.random());
    }
  }
}

/** Repeats the work in every task until the time is over. */
async function each(work) {
  const end = now() + BigInt(millis) * 1_000_000n;
  const one = async (nth) => {
    const own = [];
    while (now() < end) own.push(await work(nth));
    return own;
  };
  return Promise.all(Array.from({ length: Number(tasks) }, (_, nth) => one(nth)));
}

async function cycles() {
  const before = process.cpuUsage();
  const all = await each(async (nth) => {
    const start = now();
    const lock = await acquire(`${key}:${nth}`);
    await stay();
    await lock.release();
    return Number(now() - start);
  });
  const used = process.cpuUsage(before);
  const times = all.flat().sort((a, b) => a - b);
  const at = (share) => times[Math.floor((times.length - 1) * share)];
  const cpu = (used.user + used.system) * 1000;
  console.log(`cycles ${times.length} ${cpu} ${at(0.5)} ${at(0.99)}`);
}

async function handoff() {
  const all = await each(async (nth) => {
    const lock = await acquire(key);
    const start = now();
    await stay();
    const end = now();
    await lock.release();
    return `${nth} ${start} ${end}`;
  });
  for (const line of all.flat()) console.log(line);
}

const warm = await acquire(`warm:${process.pid}`);
await warm.release();
console.log("connected");
for await (const _ of process.stdin);
await (mode === "cycle" ? cycles() : handoff());
process.exit(0);
