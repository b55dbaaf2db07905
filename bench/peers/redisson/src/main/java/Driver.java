// A driver of Redisson; ../README.md has its command line.

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.redisson.Redisson;
import org.redisson.api.RLock;
import org.redisson.api.RedissonClient;
import org.redisson.config.Config;

final class Driver {
    private static final long TTL_MILLIS = 10_000;

    /** How long the machine's own compiler may learn before anything counts. */
    private static final long WARM_MILLIS = 500;

    private record Section(int nth, long start, long end, long took) {}

    private interface Work {
        Section once(int nth);
    }

    private final RedissonClient client;
    private final ExecutorService threads;
    private final long holdMicros;

    private Driver(RedissonClient client, int tasks, long holdMicros) {
        this.client = client;
        this.holdMicros = holdMicros;
        this.threads = Executors.newFixedThreadPool(tasks);
    }

    public static void main(String[] words) throws Exception {
        String mode = words[0];
        String url = words[1];
        String key = words[2];
        int tasks = Integer.parseInt(words[3]);
        long millis = Long.parseLong(words[4]);
        long hold = Long.parseLong(words[5]);
        if (url.contains(",")) {
            throw new IllegalArgumentException("RLock is for one server; RedLock is deprecated");
        }
        Config config = new Config();
        config.useSingleServer().setAddress(url);
        Driver driver = new Driver(Redisson.create(config), tasks, hold);
        String warm = "warm:" + ProcessHandle.current().pid();
        driver.each(tasks, WARM_MILLIS, nth -> driver.cycle(nth, warm + ":" + nth));
        System.out.println("connected");
        System.in.readAllBytes();
        if (mode.equals("cycle")) {
            driver.cycles(key, tasks, millis);
        } else {
            driver.handoff(key, tasks, millis);
        }
        System.out.flush();
        // Its shutdown waits for quiet for seconds.
        Runtime.getRuntime().halt(0);
    }

    /** A lock of Redisson belongs to a thread: a task is one. */
    private Section cycle(int nth, String key) {
        long asked = System.nanoTime();
        RLock lock = client.getLock(key);
        lock.lock(TTL_MILLIS, TimeUnit.MILLISECONDS);
        // On Linux this is the system's monotonic clock.
        long start = System.nanoTime();
        if (holdMicros > 0) {
            LockSupport.parkNanos(TimeUnit.MICROSECONDS.toNanos(holdMicros));
        }
        long end = System.nanoTime();
        lock.unlock();
        return new Section(nth, start, end, System.nanoTime() - asked);
    }

    private void cycles(String key, int tasks, long millis) throws Exception {
        var system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        long before = system.getProcessCpuTime();
        List<Section> all = each(tasks, millis, nth -> cycle(nth, key + ":" + nth));
        long used = system.getProcessCpuTime() - before;
        long[] times = all.stream().mapToLong(Section::took).sorted().toArray();
        System.out.printf(
                "cycles %d %d %d %d%n", times.length, used, at(times, 0.5), at(times, 0.99));
    }

    private void handoff(String key, int tasks, long millis) throws Exception {
        StringBuilder lines = new StringBuilder();
        for (Section section : each(tasks, millis, nth -> cycle(nth, key))) {
            lines.append(section.nth).append(' ').append(section.start).append(' ');
            lines.append(section.end).append('\n');
        }
        System.out.print(lines);
    }

    /** Repeats the work in every task until the time is over. */
    private List<Section> each(int tasks, long millis, Work work) throws Exception {
        long over = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
        List<Callable<List<Section>>> loops = new ArrayList<>();
        for (int task = 0; task < tasks; task++) {
            int nth = task;
            loops.add(() -> {
                List<Section> own = new ArrayList<>();
                while (System.nanoTime() < over) {
                    own.add(work.once(nth));
                }
                return own;
            });
        }
        List<Section> all = new ArrayList<>();
        for (Future<List<Section>> own : threads.invokeAll(loops)) {
            all.addAll(own.get());
        }
        return all;
    }

    private static long at(long[] sorted, double share) {
        return sorted[(int) ((sorted.length - 1) * share)];
    }
}
