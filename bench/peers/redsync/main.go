// A driver of Redsync; ../README.md has its command line.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-redsync/redsync/v4"
	redsyncredis "github.com/go-redsync/redsync/v4/redis"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sys/unix"
)

const (
	ttl   = 10 * time.Second
	delay = time.Millisecond
)

type section struct{ nth, start, end int64 }

func main() {
	mode, urls, key := os.Args[1], os.Args[2], os.Args[3]
	tasks, millis := number(os.Args[4]), number(os.Args[5])
	hold := time.Duration(number(os.Args[6])) * time.Microsecond
	locks := redsync.New(pools(urls)...)
	warm(locks)
	fmt.Println("connected")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if mode == "cycle" {
		cycles(locks, key, tasks, millis, hold)
	} else {
		handoff(locks, key, tasks, millis, hold)
	}
}

func pools(urls string) []redsyncredis.Pool {
	var pools []redsyncredis.Pool
	for _, url := range strings.Split(urls, ",") {
		options, err := redis.ParseURL(url)
		check(err)
		pools = append(pools, goredis.NewPool(redis.NewClient(options)))
	}
	return pools
}

func warm(locks *redsync.Redsync) {
	mutex := locks.NewMutex("warm:"+strconv.Itoa(os.Getpid()), redsync.WithExpiry(ttl))
	check(mutex.Lock())
	_, err := mutex.Unlock()
	check(err)
}

func cycles(locks *redsync.Redsync, key string, tasks, millis int64, hold time.Duration) {
	before := clock(unix.CLOCK_PROCESS_CPUTIME_ID)
	took := each(tasks, millis, func(nth int64) section {
		start := clock(unix.CLOCK_MONOTONIC)
		mutex := locks.NewMutex(fmt.Sprintf("%s:%d", key, nth), redsync.WithExpiry(ttl))
		check(mutex.Lock())
		stay(hold)
		_, err := mutex.Unlock()
		check(err)
		return section{nth, start, clock(unix.CLOCK_MONOTONIC)}
	})
	used := clock(unix.CLOCK_PROCESS_CPUTIME_ID) - before
	times := make([]int64, len(took))
	for i, one := range took {
		times[i] = one.end - one.start
	}
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	at := func(share float64) int64 { return times[int(float64(len(times)-1)*share)] }
	fmt.Printf("cycles %d %d %d %d\n", len(times), used, at(0.5), at(0.99))
}

func handoff(locks *redsync.Redsync, key string, tasks, millis int64, hold time.Duration) {
	had := each(tasks, millis, func(nth int64) section {
		mutex := locks.NewMutex(key, redsync.WithExpiry(ttl),
			redsync.WithTries(1<<30), redsync.WithRetryDelay(delay))
		check(mutex.LockContext(context.Background()))
		start := clock(unix.CLOCK_MONOTONIC)
		stay(hold)
		end := clock(unix.CLOCK_MONOTONIC)
		_, err := mutex.Unlock()
		check(err)
		return section{nth, start, end}
	})
	output := bufio.NewWriter(os.Stdout)
	for _, one := range had {
		fmt.Fprintf(output, "%d %d %d\n", one.nth, one.start, one.end)
	}
	check(output.Flush())
}

// each repeats the work in every task until the time is over.
func each(tasks, millis int64, work func(nth int64) section) []section {
	end := clock(unix.CLOCK_MONOTONIC) + millis*int64(time.Millisecond)
	var mutex sync.Mutex
	var group sync.WaitGroup
	var all []section
	for nth := int64(0); nth < tasks; nth++ {
		group.Add(1)
		go func() {
			defer group.Done()
			var own []section
			for clock(unix.CLOCK_MONOTONIC) < end {
				own = append(own, work(nth))
			}
			mutex.Lock()
			defer mutex.Unlock()
			all = append(all, own...)
		}()
	}
	group.Wait()
	return all
}

func stay(hold time.Duration) {
	if hold > 0 {
		time.Sleep(hold)
	}
}

func clock(id int32) int64 {
	var now unix.Timespec
	check(unix.ClockGettime(id, &now))
	return now.Nano()
}

func number(text string) int64 {
	value, err := strconv.ParseInt(text, 10, 64)
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
