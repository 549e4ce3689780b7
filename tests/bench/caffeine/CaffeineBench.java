// SPDX-License-Identifier: Apache-2.0
// What a look-up in Caffeine costs on the load of cache_bench: 65,536 keys of 25 letters, Zipf 0.99,
// values of 100 bytes, all hits, one and two threads. The keys are the same objects each time, so
// that their hash is known: that flatters Caffeine.
//
//   java -cp /usr/share/java/caffeine.jar CaffeineBench.java [rounds]
import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Random;
import java.util.concurrent.TimeUnit;

public final class CaffeineBench {
    private static final int KEYS = 65_536;
    private static final int PICKS = 1 << 18;
    private static final int OPERATIONS = 1_000_000;
    private static volatile long sink;

    private static String[] keys() {
        String[] keys = new String[KEYS];
        for (int i = 0; i < KEYS; i++) {
            StringBuilder key = new StringBuilder("key").append(i);
            while (key.length() < 25) {
                key.append('.');
            }
            keys[i] = key.toString();
        }
        return keys;
    }

    private static int[] zipf() {
        double[] sums = new double[KEYS];
        double sum = 0;
        for (int i = 0; i < KEYS; i++) {
            sum += 1.0 / Math.pow(i + 1, 0.99);
            sums[i] = sum;
        }
        Random random = new Random(7);
        int[] picks = new int[PICKS];
        for (int i = 0; i < PICKS; i++) {
            int at = java.util.Arrays.binarySearch(sums, random.nextDouble() * sum);
            picks[i] = Math.min(KEYS - 1, at < 0 ? -at - 1 : at);
        }
        return picks;
    }

    // CPU nanoseconds an operation of the best round; the first rounds warm the compiler up.
    private static double measure(
            Cache<String, byte[]> cache, String[] keys, int[] picks, int threads, int rounds, boolean mixed)
            throws InterruptedException {
        ThreadMXBean times = ManagementFactory.getThreadMXBean();
        double best = Double.MAX_VALUE;
        byte[] value = new byte[100];
        for (int round = 0; round < rounds; round++) {
            Thread[] running = new Thread[threads];
            long[] spent = new long[threads];
            for (int t = 0; t < threads; t++) {
                int mine = t;
                running[t] = new Thread(() -> {
                    long begin = times.getCurrentThreadCpuTime();
                    long found = 0;
                    for (int i = 0; i < OPERATIONS; i++) {
                        String key = keys[picks[(i + mine * 77_777) % PICKS]];
                        if (mixed && i % 4 == 0) {
                            cache.put(key, value);
                        } else {
                            byte[] seen = cache.getIfPresent(key);
                            found += seen == null ? 0 : seen.length;
                        }
                    }
                    sink = found;
                    spent[mine] = times.getCurrentThreadCpuTime() - begin;
                });
                running[t].start();
            }
            long sum = 0;
            for (int t = 0; t < threads; t++) {
                running[t].join();
                sum += spent[t];
            }
            best = Math.min(best, (double) sum / threads / OPERATIONS);
        }
        return best;
    }

    private static void run(String name, Cache<String, byte[]> cache, int rounds) throws InterruptedException {
        String[] keys = keys();
        int[] picks = zipf();
        for (String key : keys) {
            cache.put(key, new byte[100]);
        }
        for (int threads = 1; threads <= 2; threads++) {
            System.out.printf(
                    "caffeine_hit %s threads=%d ns=%.1f%n",
                    name, threads, measure(cache, keys, picks, threads, rounds, false));
            System.out.printf(
                    "caffeine_75_25 %s threads=%d ns=%.1f%n",
                    name, threads, measure(cache, keys, picks, threads, rounds, true));
        }
    }

    public static void main(String[] args) throws InterruptedException {
        int rounds = args.length > 0 ? Integer.parseInt(args[0]) : 12;
        run("plain", Caffeine.newBuilder().maximumSize(KEYS * 2L).build(), rounds);
        run(
                "ttl_stats",
                Caffeine.newBuilder()
                        .maximumSize(KEYS * 2L)
                        .expireAfterWrite(1, TimeUnit.HOURS)
                        .recordStats()
                        .build(),
                rounds);
    }
}
