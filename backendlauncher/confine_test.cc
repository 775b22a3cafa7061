#include "backendlauncher/confine.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace postern::backendlauncher {
namespace {

TEST(ConfinementTest, TravelsAsAWord) {
  const Confinement original = {false, 1 << 30, 20, 30, 40, 1 << 20, 5};
  const auto back = FromWord(ToWord(original));
  ASSERT_TRUE(back.ok());
  EXPECT_FALSE(back->no_new_privs);
  EXPECT_EQ(back->memory_octets, 1 << 30);
  EXPECT_EQ(back->open_files, 20);
  EXPECT_EQ(back->processes, 30);
  EXPECT_EQ(back->cpu_seconds, 40);
  EXPECT_EQ(back->file_octets, 1 << 20);
  EXPECT_EQ(back->nice, 5);
  EXPECT_EQ(FromWord(ToWord({}))->memory_octets, Confinement::kInherited);
}

TEST(ConfinementTest, OddWordsAreRefused) {
  for (const char* word :
       {"", "1", "1,2,3,4,5,6", "1,2,3,4,5,6,7,8", "1,x,3,4,5,6,7", "1,-2,3,4,5,6,7", "1,,3,4,5,6,7"})
    EXPECT_FALSE(FromWord(word).ok()) << word;
}

bool Holds(__rlimit_resource resource, rlim_t value) {
  rlimit limit;
  return getrlimit(resource, &limit) == 0 && limit.rlim_cur == value && limit.rlim_max == value;
}

// In a child, since nothing of it can be taken back: 0, or the number of the line that failed.
int InChild(const Confinement& confinement, int (*look)()) {
  const pid_t pid = fork();
  if (pid == 0) _exit(Confine(confinement) == 0 ? look() : 255);
  int status;
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(ConfineTest, SetsWhatIsAskedFor) {
  EXPECT_EQ(InChild({true, 1 << 30, 20, 30, 40, 1 << 20, 5},
                    [] {
                      if (!Holds(RLIMIT_AS, 1 << 30) || !Holds(RLIMIT_DATA, 1 << 30)) return 1;
                      if (!Holds(RLIMIT_NOFILE, 20)) return 2;
                      if (!Holds(RLIMIT_NPROC, 30)) return 3;
                      if (!Holds(RLIMIT_CPU, 40)) return 4;
                      if (!Holds(RLIMIT_FSIZE, 1 << 20)) return 5;
                      if (!Holds(RLIMIT_CORE, 0)) return 6;
                      if (getpriority(PRIO_PROCESS, 0) < 5) return 7;
                      return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 8;
                    }),
            0);
}

TEST(ConfineTest, LeavesTheRestAlone) {
  static rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  EXPECT_EQ(InChild({.no_new_privs = false},
                    [] {
                      rlimit now;
                      if (getrlimit(RLIMIT_AS, &now) != 0 || now.rlim_cur != before.rlim_cur) return 1;
                      return Holds(RLIMIT_CORE, 0) ? 0 : 2;
                    }),
            0);
}

}  // namespace
}  // namespace postern::backendlauncher
