/* SPDX-License-Identifier: Apache-2.0
 *
 * Control groups: finding them in mountinfo, and the kernel's own on a mount of the test's. */
#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/cgroup.h"
#include "proc/cgroup_mount.h"
#include "proc/process.h"

#define ENOUGH_MS 60000

/* ---- Mounts ---------------------------------------------------------------------------------------------- */

static void test_a_line_of_a_writable_cgroup2_is_read(void **state)
{
	static const struct {
		const char *line, *root, *point; /* NULL: it is none */
	} cases[] = {
		{ "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate", "/", "/sys/fs/cgroup" },
		{ "30 23 0:26 / /sys/fs/cgroup rw shared:4 master:1 - cgroup2 none rw\n", "/", "/sys/fs/cgroup" },
		{ "30 23 0:26 /a/b /mnt rw - cgroup2 cgroup2 rw", "/a/b", "/mnt" },
		{ "30 23 0:26 / /a\\040b\\134c rw - cgroup2 cgroup2 rw", "/", "/a b\\c" },
		{ "30 23 0:26 / /a\\04x rw - cgroup2 cgroup2 rw", "/", "/a\\04x" },
		{ "30 23 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup2 rw", NULL, NULL },
		{ "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 ro", NULL, NULL },
		{ "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu", NULL, NULL },
		{ "30 23 0:26 / /sys/fs/cgroup rw,nosuid cgroup2 cgroup2 rw", NULL, NULL },
		{ "30 23 0:26 / relative rw - cgroup2 cgroup2 rw", NULL, NULL },
		{ "30 23 0:26 / /sys/fs/cgroup rw - cgroup2", NULL, NULL },
		{ "30 23", NULL, NULL },
		{ "", NULL, NULL },
	};
	struct cgroup_mount mount;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool is_one = cgroup_mount_parse(cases[i].line, &mount);
		print_message("%s\n", cases[i].line);
		assert_int_equal(is_one, cases[i].root != NULL);
		if (is_one) {
			assert_string_equal(mount.root, cases[i].root);
			assert_string_equal(mount.point, cases[i].point);
		}
	}
}

static void test_a_group_is_found_below_the_part_that_is_mounted(void **state)
{
	static const struct {
		const char *root, *group, *path; /* NULL: it is not seen */
	} cases[] = {
		{ "/", "/", "/m" },       { "/", "/a/b", "/m/a/b" }, { "/a", "/a", "/m" },
		{ "/a", "/a/b", "/m/b" }, { "/a", "/ab", NULL },     { "/a", "/", NULL },
		{ "/", "/../b", NULL },   { "/..", "/a", NULL },     { "/", "", NULL },
	};
	char path[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cgroup_mount mount = { .point = "/m" };
		snprintf(mount.root, sizeof(mount.root), "%s", cases[i].root);
		print_message("%s in %s\n", cases[i].group, cases[i].root);
		errno = ENOENT; /* as if one had been looked for before */
		assert_int_equal(cgroup_mount_path(&mount, cases[i].group, path, sizeof(path)),
				 cases[i].path != NULL);
		if (cases[i].path)
			assert_string_equal(path, cases[i].path);
		else
			assert_int_equal(errno, ENAMETOOLONG);
		errno = ENOENT;
		assert_false(cgroup_mount_path(&mount, cases[i].group, path, 2));
		assert_int_equal(errno, ENAMETOOLONG);
	}
}

static bool is_in_second(const char *path)
{
	return strncmp(path, "/second", strlen("/second")) == 0;
}

static void test_a_mount_that_is_covered_or_shows_another_part_is_passed_over(void **state)
{
	static const char lines[] = "29 23 0:26 / /read-only ro - cgroup2 cgroup2 rw\n"
				    "30 23 0:26 / /covered rw - cgroup2 cgroup2 rw\n"
				    "31 23 0:27 /other /second/other rw - cgroup2 cgroup2 rw\n"
				    "32 23 0:27 / /second/all rw - cgroup2 cgroup2 rw\n";
	char name[] = "/tmp/awsflock-test-mountinfo-XXXXXX";
	struct cgroup_mount mount;
	int fd = mkstemp(name);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, lines, strlen(lines)), strlen(lines));
	close(fd);
	assert_true(cgroup_mount_find(name, "/user", is_in_second, &mount));
	assert_string_equal(mount.point, "/second/all");
	assert_false(cgroup_mount_find(name, "/../user", is_in_second, &mount));
	unlink(name);
	assert_false(cgroup_mount_find(name, "/user", is_in_second, &mount));
}

static void test_a_group_is_within_itself_and_above_what_is_below_it(void **state)
{
	(void)state;
	assert_true(cgroup_is_within("/a/b", "/a"));
	assert_true(cgroup_is_within("/a", "/a"));
	assert_true(cgroup_is_within("/a", "/"));
	assert_false(cgroup_is_within("/ab", "/a"));
	assert_false(cgroup_is_within("/", "/a"));
}

/* ---- The kernel's own ------------------------------------------------------------------------------------ */

struct tree {
	char point[64], name[64];
	int root, group, events;
};

/* A cgroup2 of the test's own mount namespace, and a group in it. */
static int set_up_tree(void **state)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	if (!tree)
		return -1;
	*state = tree;
	tree->root = -1;
	snprintf(tree->point, sizeof(tree->point), "/tmp/awsflock-test-cgroup-XXXXXX");
	if (geteuid() != 0)
		return 0;
	if (!mkdtemp(tree->point) || unshare(CLONE_NEWNS) != 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", tree->point, "cgroup2", 0, NULL) != 0)
		return 0;
	snprintf(tree->name, sizeof(tree->name), "awsflock-test-%d", (int)getpid());
	tree->root = cgroup_open(tree->point);
	tree->group = cgroup_make(tree->root, tree->name);
	tree->events = cgroup_open_events(tree->group);
	return 0;
}

static int take_down_tree(void **state)
{
	struct tree *tree = *state;

	if (tree->root >= 0) {
		cgroup_kill(tree->group);
		while (wait(NULL) > 0)
			continue;
		close(tree->events);
		close(tree->group);
		if (!cgroup_remove(tree->root, tree->name))
			return -1;
		close(tree->root);
		umount2(tree->point, MNT_DETACH);
	}
	rmdir(tree->point);
	free(tree);
	return 0;
}

static struct tree *tree_of(void **state)
{
	struct tree *tree = *state;

	if (tree->root < 0)
		skip(); /* only root can mount one */
	assert_true(tree->group >= 0 && tree->events >= 0);
	return tree;
}

static pid_t start_in(int group)
{
	int hold[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(hold), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(hold[1]);
		if (read(hold[0], &byte, 1) < 0) /* ends with the parent's word: it has been moved */
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(cgroup_add(group, pid));
	close(hold[0]);
	close(hold[1]);
	return pid;
}

/* Until it says so, or for so long that it never will. */
static void await(int events, bool is_populated, bool is_frozen)
{
	struct pollfd polled = { .fd = events, .events = POLLPRI };
	struct cgroup_state now;

	for (;;) {
		assert_true(cgroup_read_events(events, &now));
		if (now.is_populated == is_populated && now.is_frozen == is_frozen)
			return;
		assert_int_equal(poll(&polled, 1, ENOUGH_MS), 1);
		assert_true(polled.revents & POLLPRI);
	}
}

struct seen {
	pid_t pids[8];
	size_t count;
};

static bool see(void *arg, pid_t pid)
{
	struct seen *seen = arg;

	assert_true(seen->count < sizeof(seen->pids) / sizeof(seen->pids[0]));
	seen->pids[seen->count++] = pid;
	return true;
}

static bool refuse(void *arg, pid_t pid)
{
	(void)arg;
	(void)pid;
	return false;
}

static void test_a_process_that_is_moved_is_listed_with_those_below(void **state)
{
	struct tree *tree = tree_of(state);
	char group[4096];
	struct seen seen = { .count = 0 };
	int below = cgroup_make(tree->group, "below");
	pid_t first = start_in(tree->group), second = start_in(below);

	await(tree->events, true, false);
	assert_true(cgroup_each(tree->group, see, &seen));
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.pids[0], second);
	assert_int_equal(seen.pids[1], first);
	assert_false(cgroup_each(tree->group, refuse, NULL));
	assert_true(process_control_group(second, group, sizeof(group)));
	assert_string_equal(strrchr(group, '/'), "/below");
	close(below);
}

static void test_a_kill_ends_all_of_it_and_below_it_frozen_or_not(void **state)
{
	struct tree *tree = tree_of(state);
	int below = cgroup_make(tree->group, "below"), status;

	start_in(tree->group);
	start_in(below);
	assert_true(cgroup_freeze(tree->group, true));
	await(tree->events, true, true);
	assert_true(cgroup_kill(tree->group));
	for (int i = 0; i < 2; i++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	await(tree->events, false, true);
	assert_true(cgroup_freeze(tree->group, false));
	await(tree->events, false, false);
	close(below);
}

static void test_a_group_with_a_process_stays_and_an_empty_one_goes_with_those_below(void **state)
{
	struct tree *tree = tree_of(state);
	int top = cgroup_make(tree->group, "top"), below = cgroup_make(top, "below");
	pid_t pid = start_in(below);
	struct cgroup_state gone;
	int events = cgroup_open_events(top);

	assert_false(cgroup_remove(tree->group, "top"));
	assert_true(cgroup_add(tree->root, pid));
	assert_true(cgroup_remove(tree->group, "top"));
	assert_true(cgroup_remove(tree->group, "top"));
	assert_false(cgroup_read_events(events, &gone));
	assert_true(cgroup_each(top, refuse, NULL));
	kill(pid, SIGKILL);
	close(events);
	close(below);
	close(top);
}

static void test_a_group_is_populated_unless_it_is_known_that_nobody_is_in_it(void **state)
{
	struct tree *tree = tree_of(state);
	int below = cgroup_make(tree->group, "below");
	pid_t pid = start_in(below);

	assert_true(cgroup_is_populated(tree->group));
	assert_true(cgroup_is_populated(below));
	assert_true(cgroup_add(tree->root, pid));
	assert_false(cgroup_is_populated(below));
	assert_true(cgroup_remove(tree->group, "below"));
	assert_false(cgroup_is_populated(below)); /* it is gone */
	assert_true(cgroup_is_populated(-1));     /* not told */
	kill(pid, SIGKILL);
	close(below);
}

static void test_one_whose_parent_is_gone_is_removed(void **state)
{
	struct tree *tree = tree_of(state);
	char path[256];

	snprintf(path, sizeof(path), "%s/%s/gone/below", tree->point, tree->name);
	assert_true(cgroup_remove_path(path));
	assert_false(cgroup_remove_path("/tmp/below")); /* not told */
}

static void test_a_group_that_a_user_may_write_to_is_not_roots(void **state)
{
	struct tree *tree = tree_of(state);

	assert_true(cgroup_is_roots(tree->group));
	assert_int_equal(fchownat(tree->group, "cgroup.procs", 65534, 0, 0), 0);
	assert_false(cgroup_is_roots(tree->group));
	assert_int_equal(fchownat(tree->group, "cgroup.procs", 0, 0, 0), 0);
	assert_int_equal(fchmod(tree->group, 0777), 0);
	assert_false(cgroup_is_roots(tree->group));
}

static bool enter_all(const char *name)
{
	(void)name;
	return true;
}

static bool enter_none(const char *name)
{
	(void)name;
	return false;
}

static void test_what_runs_in_a_group_that_a_user_may_fill_is_told(void **state)
{
	struct tree *tree = tree_of(state);
	int slice = cgroup_make(tree->group, "slice"), users = cgroup_make(slice, "users");
	int below = cgroup_make(users, "below");

	start_in(slice);
	assert_int_equal(fchown(users, 65534, 0), 0);
	assert_false(cgroup_has_users(tree->group, enter_all)); /* nobody is in it */
	start_in(below);
	assert_true(cgroup_has_users(tree->group, enter_all));
	assert_true(cgroup_has_users(slice, enter_all));
	assert_false(cgroup_has_users(tree->group, enter_none));
	assert_int_equal(fchown(users, 0, 0), 0);
	assert_false(cgroup_has_users(tree->group, enter_all));
	close(below);
	close(users);
	close(slice);
}

static void test_a_group_that_cannot_hold_processes_is_not_made(void **state)
{
	struct tree *tree = tree_of(state);
	int threaded = cgroup_make(tree->group, "threaded"), type;

	type = openat(threaded, "cgroup.type", O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(type, "threaded", 8), 8);
	close(type);
	assert_int_equal(cgroup_make(threaded, "no"), -1);
	assert_int_equal(errno, EOPNOTSUPP);
	assert_int_equal(faccessat(threaded, "no", F_OK, 0), -1);
	close(threaded);
}

static void test_another_file_system_is_no_group(void **state)
{
	(void)state;
	assert_int_equal(cgroup_open("/tmp"), -1);
	assert_int_equal(cgroup_open("/nowhere/at/all"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_of_a_writable_cgroup2_is_read),
		cmocka_unit_test(test_a_group_is_found_below_the_part_that_is_mounted),
		cmocka_unit_test(test_a_mount_that_is_covered_or_shows_another_part_is_passed_over),
		cmocka_unit_test(test_a_group_is_within_itself_and_above_what_is_below_it),
		cmocka_unit_test(test_another_file_system_is_no_group),
		cmocka_unit_test_setup_teardown(test_a_process_that_is_moved_is_listed_with_those_below,
						set_up_tree, take_down_tree),
		cmocka_unit_test_setup_teardown(test_a_kill_ends_all_of_it_and_below_it_frozen_or_not, set_up_tree,
						take_down_tree),
		cmocka_unit_test_setup_teardown(
			test_a_group_with_a_process_stays_and_an_empty_one_goes_with_those_below, set_up_tree,
			take_down_tree),
		cmocka_unit_test_setup_teardown(test_a_group_is_populated_unless_it_is_known_that_nobody_is_in_it,
						set_up_tree, take_down_tree),
		cmocka_unit_test_setup_teardown(test_one_whose_parent_is_gone_is_removed, set_up_tree,
						take_down_tree),
		cmocka_unit_test_setup_teardown(test_a_group_that_a_user_may_write_to_is_not_roots, set_up_tree,
						take_down_tree),
		cmocka_unit_test_setup_teardown(test_what_runs_in_a_group_that_a_user_may_fill_is_told, set_up_tree,
						take_down_tree),
		cmocka_unit_test_setup_teardown(test_a_group_that_cannot_hold_processes_is_not_made, set_up_tree,
						take_down_tree),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
