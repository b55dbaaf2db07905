// A driver of node-redlock; ../README.md has its command line.
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

// The package's own map of exports leaves out its modern half.
const require = createRequire(import.meta.url);
const Redis = require("ioredis");
const Redlock = require("redlock").default;

const TTL = 10_000;

const [mode, urls, key, tasks, millis, hold] = process.argv.slice(2);
// Over several servers, waiters that ask in step split the votes for ever.
const DELAY = urls.includes(",") ? 50 : 1;
const JITTER = DELAY - 1;
const clients = urls.split(",").map((url) => new Redis(url));
const locks = new Redlock(clients, {
  retryCount: -1,
  retryDelay: DELAY,
  retryJitter: JITTER,
  automaticExtensionThreshold: 0,
});
const now = () => process.hrtime.bigint();
const stay = () => Number(hold) > 0 && sleep(Number(hold) / 1000);

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
    const lock = await locks.acquire([`${key}:${nth}`], TTL);
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
    const lock = await locks.acquire([key], TTL);
    const start = now();
    await stay();
    const end = now();
    await lock.release();
    return `${nth} ${start} ${end}`;
  });
  for (const line of all.flat()) console.log(line);
}

const warm = await locks.acquire([`warm:${process.pid}`], TTL);
await warm.release();
console.log("connected");
for await (const _ of process.stdin);
await (mode === "cycle" ? cycles() : handoff());
process.exit(0);
