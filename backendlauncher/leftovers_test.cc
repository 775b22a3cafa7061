#include "backendlauncher/leftovers.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

namespace postern::backendlauncher {
namespace {

pid_t Sleeper() {
  const pid_t pid = fork();
  if (pid == 0) {
    pause();
    _exit(0);
  }
  return pid;
}

void End(pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

// A child that forks another and ends: the other is handed to us.
pid_t Leave() {
  int ends[2];
  if (pipe(ends) != 0) return -1;
  const pid_t parent = fork();
  if (parent == 0) {
    const pid_t left = Sleeper();
    _exit(write(ends[1], &left, sizeof left) == sizeof left ? 0 : 1);
  }
  waitpid(parent, nullptr, 0);
  pid_t left = -1;
  if (read(ends[0], &left, sizeof left) != sizeof left) left = -1;
  close(ends[0]);
  close(ends[1]);
  return left;
}

TEST(LeftoversTest, AreTheChildrenThatNobodyKnows) {
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  const pid_t first = Sleeper(), second = Sleeper();
  const auto known = [&](pid_t pid) { return pid == first || pid == second; };
  EXPECT_TRUE(UnknownChildren(2, known).empty());
  const pid_t left = Leave();
  ASSERT_GT(left, 0);
  const std::vector<Child> unknown = UnknownChildren(2, known);
  ASSERT_EQ(unknown.size(), 1u);
  EXPECT_EQ(unknown[0].pid, left);
  EXPECT_EQ(unknown[0].uid, getuid());
  EXPECT_EQ(UsersOf(known), std::set<uid_t>{getuid()});
  EXPECT_TRUE(UsersOf([](pid_t) { return false; }).empty());
  const pid_t third = Leave();
  EXPECT_EQ(UnknownChildren(2, known).size(), 2u);
  for (pid_t pid : {first, second, left, third}) End(pid);
  EXPECT_TRUE(UnknownChildren(0, known).empty());
}

}  // namespace
}  // namespace postern::backendlauncher
