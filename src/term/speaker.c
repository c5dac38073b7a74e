/* SPDX-License-Identifier: Apache-2.0
 *
 * See speaker.h.
 *
 * A thread writes, since nothing else keeps a write() from blocking: O_NONBLOCK would be the setting of everybody
 * who shares the open file, and a user's terminal cannot always be opened anew. */
#include "term/speaker.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/runtime.h"
#include "base/write_all.h"

/* How long a line may hold up the one who says it.  Once one is stuck, those after it wait no more. */
#define PATIENCE_MS 50
/* For more than a person would read; what comes after that is dropped. */
#define QUEUE_SIZE ((size_t)32 * 1024)

static struct {
	bool used;
	bool thread_runs;
	char queue[QUEUE_SIZE];
	size_t size;            /* bytes in the queue, those included that are being written */
	size_t taken, finished; /* bytes since the start, queued and written */
} speaker;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER, written;

void speaker_start(void)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&written, &attributes);
	pthread_condattr_destroy(&attributes);
	speaker.used = true;
}

bool speaker_is_used(void)
{
	return speaker.used;
}

static void *speak(void *arg)
{
	static char bytes[QUEUE_SIZE];

	(void)arg;
	pthread_mutex_lock(&mutex);
	for (;;) {
		size_t size = speaker.size;
		if (size == 0) {
			pthread_cond_wait(&more, &mutex);
			continue;
		}
		memcpy(bytes, speaker.queue, size);
		pthread_mutex_unlock(&mutex);
		write_all(STDERR_FILENO, bytes, size);
		pthread_mutex_lock(&mutex);
		memmove(speaker.queue, speaker.queue + size, speaker.size - size);
		speaker.size -= size;
		speaker.finished += size;
		pthread_cond_broadcast(&written);
	}
	return NULL;
}

/* Like its maker's, its signals are blocked. */
static bool thread_runs(void)
{
	pthread_t thread;

	if (!speaker.thread_runs && pthread_create(&thread, NULL, speak, NULL) == 0) {
		pthread_detach(thread);
		speaker.thread_runs = true;
	}
	return speaker.thread_runs;
}

/* Without a thread: what can be said at once. */
static void say_or_drop(const char *bytes, size_t size)
{
	struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (poll(&fd, 1, 0) == 1)
		write_all(STDERR_FILENO, bytes, size);
}

static void wait_until_written(size_t count, int64_t milliseconds)
{
	struct timespec until = clock_timespec(clock_monotonic_ns() + milliseconds * NS_PER_MS);

	while (speaker.finished < count)
		if (pthread_cond_timedwait(&written, &mutex, &until) != 0)
			return;
}

void speaker_say(const char *bytes, size_t size)
{
	pthread_mutex_lock(&mutex);
	if (!thread_runs()) {
		say_or_drop(bytes, size);
	} else if (size <= QUEUE_SIZE - speaker.size) {
		bool is_stuck = speaker.size > 0;
		memcpy(speaker.queue + speaker.size, bytes, size);
		speaker.size += size;
		speaker.taken += size;
		pthread_cond_signal(&more);
		wait_until_written(speaker.taken, is_stuck ? 0 : PATIENCE_MS);
	}
	pthread_mutex_unlock(&mutex);
}

bool speaker_has_written_all(void)
{
	bool all;

	pthread_mutex_lock(&mutex);
	all = speaker.finished == speaker.taken;
	pthread_mutex_unlock(&mutex);
	return all;
}

void speaker_finish(int64_t milliseconds)
{
	pthread_mutex_lock(&mutex);
	wait_until_written(speaker.taken, milliseconds);
	pthread_mutex_unlock(&mutex);
}
