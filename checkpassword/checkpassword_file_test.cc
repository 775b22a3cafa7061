// The program as a caller meets it: exit codes, what it leaves to the program it runs, and what it refuses. As root it
// is run with the capabilities that it has in production, no more, and switches users; as anybody else it stays itself.
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace postern::checkpassword {
namespace {

// All of "secret"; see verify_test.cc.
constexpr char kYescrypt[] = "{CRYPT}$y$j75$abcdefgh$uMUXG79B2cFpoAYyDccUnsaH/aGTyBYMlnQidzyag01";
constexpr char kBcrypt[] = "{BLF-CRYPT}$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
constexpr char kSha512[] =
    "{SHA512-CRYPT}$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq."
    "H91p5hVO1";
constexpr char kImpossible[] = "{CRYPT}$y$zzzz$abcdefgh$uMUXG79B2cFpoAYyDccUnsaH/aGTyBYMlnQidzyag01";

// As root: ids that no system user has.
constexpr uid_t kUid = 70341;
constexpr gid_t kGid = 70342;

bool AmRoot() { return geteuid() == 0; }

struct Outcome {
  int exit = -1;  // or 1000 and the signal
  std::string out;
  std::string err;
};

// Fields as descriptor 3 carries them, each with its NUL.
std::string Fields(const std::vector<std::string>& fields) {
  std::string octets;
  for (const std::string& field : fields) octets.append(field).push_back('\0');
  return octets;
}

std::string Login(const std::string& login, const std::string& password) {
  return Fields({login, password, "Y123456"});
}

std::string ReadAll(int fd) {
  std::string all;
  char buffer[4096];
  for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) > 0;) all.append(buffer, static_cast<size_t>(got));
  return all;
}

// What the child is before it executes the program.
using Prepare = std::function<void()>;

// The bounding set of the backendlauncher. A root that executes a program gets what is in it, and no more.
void DropCapabilities() {
  for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; ++cap) {
    if (cap != CAP_SETUID && cap != CAP_SETGID && cap != CAP_KILL) prctl(PR_CAPBSET_DROP, cap);
  }
}

class CheckpasswordFileTest : public testing::Test {
 protected:
  // In /tmp and open to all, since the users we become must get at it; a test's own directory may be in somebody's
  // home.
  void SetUp() override {
    char name[] = "/tmp/checkpassword_file_test.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    ASSERT_EQ(chmod(name, 0755), 0);
    program_ = directory_ + "/checkpassword-file";
    std::ifstream from(std::getenv("CHECKPASSWORD_FILE"), std::ios::binary);
    std::ofstream to(program_, std::ios::binary);
    to << from.rdbuf();
    ASSERT_TRUE(to.good());
    to.close();
    chmod(program_.c_str(), 0755);
    home_ = directory_ + "/home";
    mkdir(home_.c_str(), 0700);
    if (AmRoot()) {
      ASSERT_EQ(chown(home_.c_str(), kUid, kGid), 0);
    }
    passwd_ = directory_ + "/passwd";
    WritePasswd(Line("user", kYescrypt) + Line("bcrypt", kBcrypt) + Line("sha", kSha512) + Line("locked", "!") +
                Line("impossible", kImpossible));
  }

  void TearDown() override { EXPECT_EQ(system(absl::StrCat("rm -rf ", directory_).c_str()), 0); }

  static uid_t uid() { return AmRoot() ? kUid : geteuid(); }
  static gid_t gid() { return AmRoot() ? kGid : getegid(); }

  std::string Line(absl::string_view login, absl::string_view hash) const {
    return absl::StrCat(login, ":", hash, ":", uid(), ":", gid(), "::", home_, "\n");
  }

  void WritePasswd(const std::string& text, mode_t mode = 0600) const {
    unlink(passwd_.c_str());
    std::ofstream(passwd_, std::ios::binary) << text;
    chmod(passwd_.c_str(), mode);
  }

  // Runs the program with `octets` on descriptor 3 (nothing there if `descriptor` is false) and PATH and USER in its
  // environment.
  Outcome Run(std::vector<std::string> args, const std::string& octets, const Prepare& prepare = DropCapabilities,
              bool descriptor = true) const {
    args.insert(args.begin(), program_);
    int credentials[2], out[2], err[2];
    EXPECT_EQ(pipe2(credentials, O_CLOEXEC) | pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC), 0);
    // Before the fork: a program that ends without reading would answer by SIGPIPE.
    EXPECT_EQ(write(credentials[1], octets.data(), octets.size()), static_cast<ssize_t>(octets.size()));
    close(credentials[1]);
    const pid_t child = fork();
    if (child == 0) {
      const int three = fcntl(credentials[0], F_DUPFD, 10);  // 3 may be one of ours
      dup2(out[1], 1);
      dup2(err[1], 2);
      if (descriptor) dup2(three, 3);
      if (!descriptor) close(3);
      close(three);
      std::vector<char*> argv;
      for (std::string& arg : args) argv.push_back(arg.data());
      argv.push_back(nullptr);
      char path[] = "PATH=/usr/bin:/bin";
      char user[] = "USER=somebody";
      char* environment[] = {path, user, nullptr};
      prepare();
      execve(argv[0], argv.data(), environment);
      _exit(99);
    }
    for (int end : {credentials[0], out[1], err[1]}) close(end);
    Outcome outcome;
    outcome.out = ReadAll(out[0]);
    outcome.err = ReadAll(err[0]);
    close(out[0]);
    close(err[0]);
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    outcome.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    return outcome;
  }

  // A login that runs a shell command if it is accepted.
  Outcome Try(const std::string& login, const std::string& password, const std::string& command = "echo ran",
              const Prepare& prepare = DropCapabilities) const {
    return Run({passwd_, "/bin/sh", "-c", command}, Login(login, password), prepare);
  }

  std::string directory_, program_, home_, passwd_;
};

TEST_F(CheckpasswordFileTest, AnswersByExitCode) {
  const struct {
    const char *login, *password;
    int exit;
  } kRows[] = {{"user", "secret", 0},     {"bcrypt", "secret", 0}, {"sha", "secret", 0},    {"user", "wrong", 1},
               {"bcrypt", "wrong", 1},    {"sha", "wrong", 1},     {"user", "", 1},         {"", "", 1},
               {"nobody", "secret", 1},   {"USER", "secret", 1},   {"user ", "secret", 1},  {"locked", "!", 1},
               {"locked", "secret", 1},   {"a:b", "secret", 1},    {"us\ner", "secret", 1}, {"user:", "secret", 1},
               {"#comment", "secret", 1}, {"impossible", "x", 111}};
  for (const auto& row : kRows) {
    const Outcome outcome = Try(row.login, row.password);
    EXPECT_EQ(outcome.exit, row.exit) << row.login << outcome.err;
    EXPECT_EQ(outcome.out, row.exit == 0 ? "ran\n" : "") << row.login;
    EXPECT_EQ(outcome.err.empty(), row.exit != 111) << row.login << outcome.err;
  }
}

TEST_F(CheckpasswordFileTest, LeavesTheExitCodeToTheProgram) { EXPECT_EQ(Try("user", "secret", "exit 42").exit, 42); }

TEST_F(CheckpasswordFileTest, BecomesTheUser) {
  const std::string command =
      "grep -E '^(Uid|Gid|Groups|CapPrm|CapEff):' /proc/self/status | tr -s '\\t ' ' '; id -G; pwd; (: <&3) "
      "2>/dev/null || echo closed";
  const Outcome outcome = Try("user", "secret", command);
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  const auto four = [](const char* name, unsigned id) {
    return absl::StrCat(name, ": ", id, " ", id, " ", id, " ", id, "\n");
  };
  EXPECT_TRUE(absl::StartsWith(outcome.out, four("Uid", uid()) + four("Gid", gid()))) << outcome.out;
  EXPECT_TRUE(absl::EndsWith(outcome.out, absl::StrCat("\n", home_, "\nclosed\n"))) << outcome.out;
  if (!AmRoot()) return;
  EXPECT_TRUE(absl::StrContains(outcome.out, absl::StrCat("\nGroups: ", gid()))) << outcome.out;
  EXPECT_TRUE(absl::StrContains(outcome.out, absl::StrCat("\n", gid(), "\n", home_))) << outcome.out;  // id -G
  EXPECT_TRUE(absl::StrContains(outcome.out, "\nCapPrm: 0000000000000000\nCapEff: 0000000000000000\n")) << outcome.out;
}

TEST_F(CheckpasswordFileTest, SetsTheEnvironment) {
  const Outcome outcome = Run({passwd_, "env"}, Login("user", "secret"));
  EXPECT_EQ(outcome.out, absl::StrCat("PATH=/usr/bin:/bin\nUSER=user\nHOME=", home_, "\nSHELL=/bin/sh\n"));
}

TEST_F(CheckpasswordFileTest, LeavesAllArgumentsToTheProgram) {
  const Outcome outcome =
      Run({"--min-uid", "1", passwd_, "printf", "[%s]", "--hash", "--min-uid", "--", "-x"}, Login("user", "secret"));
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "[--hash][--min-uid][--][-x]");
}

TEST_F(CheckpasswordFileTest, SaysWhenItIsMisused) {
  const std::string login = Login("user", "secret");
  const std::vector<std::string> kArgs[] = {
      {},
      {passwd_},
      {"--min-uid", "100", passwd_},
      {"--min-uid", "x", passwd_, "true"},
      {"--min-uid", "", passwd_, "true"},
      {"--min-uid", "-1", passwd_, "true"},
      {"--min-uid=4294967296", passwd_, "true"},
      {"--min-uid"},
      {"--unknown", passwd_, "true"},
      {"-h", passwd_, "true"},
      {"--hash", passwd_, "true"},
  };
  for (const auto& args : kArgs) {
    const Outcome outcome = Run(args, login);
    EXPECT_EQ(outcome.exit, 2) << args.size();
    EXPECT_TRUE(absl::StrContains(outcome.err, "usage: ")) << outcome.err;
  }
  for (const std::string& octets : {std::string(), Fields({"user"}), Fields({"user", "secret"}),
                                    std::string("user\0secret\0time", 16), std::string(600, 'x')}) {
    const Outcome outcome = Run({passwd_, "true"}, octets);
    EXPECT_EQ(outcome.exit, 2) << outcome.err;
    EXPECT_TRUE(absl::StrContains(outcome.err, "descriptor 3") || octets.size() > 512) << outcome.err;
  }
  EXPECT_EQ(Run({passwd_, "true"}, "", DropCapabilities, false).exit, 2);
}

TEST_F(CheckpasswordFileTest, TakesExactly512Octets) {
  const std::string login = Login("user", "secret");
  EXPECT_EQ(Run({passwd_, "true"}, login + std::string(512 - login.size(), 'x')).exit, 0);
  EXPECT_EQ(Run({passwd_, "true"}, login + std::string(513 - login.size(), 'x')).exit, 2);
  // Nothing is cut off a password that fills it.
  EXPECT_EQ(Run({passwd_, "true"}, Fields({"user", "secret" + std::string(512 - 14, 'x'), ""})).exit, 1);
  EXPECT_EQ(Run({passwd_, "true"}, Fields({"user", "secret", ""})).exit, 0);
}

TEST_F(CheckpasswordFileTest, WantsAProtectedFile) {
  const std::string text = Line("user", kYescrypt);
  for (mode_t mode : {0600, 0400, 0640, 0440}) {
    WritePasswd(text, mode);
    EXPECT_EQ(Try("user", "secret").exit, 0) << mode;
  }
  for (mode_t mode : {0644, 0604, 0602, 0601, 0620, 0660, 0610, 0666, 0777, 0700 | 0007}) {
    WritePasswd(text, mode);
    const Outcome outcome = Try("user", "secret");
    EXPECT_EQ(outcome.exit, 111) << mode;
    EXPECT_TRUE(absl::StrContains(outcome.err, passwd_)) << outcome.err;
  }
}

TEST_F(CheckpasswordFileTest, WantsARegularFile) {
  const std::string link = directory_ + "/link", fifo = directory_ + "/fifo";
  ASSERT_EQ(symlink(passwd_.c_str(), link.c_str()), 0);
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  for (const std::string& path : {link, fifo, home_, directory_ + "/none", std::string("/dev/null")}) {
    const Outcome outcome = Run({path, "true"}, Login("user", "secret"));
    EXPECT_EQ(outcome.exit, 111) << path;
    EXPECT_TRUE(absl::StrContains(outcome.err, path + ": ")) << outcome.err;
  }
}

TEST_F(CheckpasswordFileTest, NamesTheFaultyLineAndNothingFromIt) {
  WritePasswd("# users\nplain:{PLAIN}secret:1000:1000::/\n" + Line("user", kYescrypt) + Line("twice", kYescrypt) +
              Line("twice", kYescrypt) + absl::StrCat("root:", kYescrypt, ":0:0::/\n") +
              absl::StrCat("system:", kYescrypt, ":99:99::/\n"));
  const struct {
    const char* login;
    int exit;
    const char* line;  // that is named last
  } kRows[] = {{"plain", 111, ":2: "}, {"twice", 111, ":5: "}, {"root", 111, ":6: "}, {"system", 111, ":7: "}};
  for (const auto& row : kRows) {
    const Outcome outcome = Try(row.login, "secret");
    EXPECT_EQ(outcome.exit, row.exit) << row.login;
    EXPECT_EQ(outcome.out, "");
    const size_t last = outcome.err.rfind(passwd_);
    ASSERT_NE(last, outcome.err.npos);
    EXPECT_TRUE(absl::StartsWith(outcome.err.substr(last), passwd_ + row.line)) << outcome.err;
    EXPECT_FALSE(absl::StrContains(outcome.err, "secret")) << outcome.err;
    EXPECT_FALSE(absl::StrContains(outcome.err, "$")) << outcome.err;
  }
  // Everybody else's login works, and the lines are named.
  const Outcome outcome = Try("user", "secret");
  EXPECT_EQ(outcome.out, "ran\n");
  EXPECT_TRUE(absl::StrContains(outcome.err, passwd_ + ":2: ")) << outcome.err;
  EXPECT_TRUE(absl::StrContains(outcome.err, passwd_ + ":6: ")) << outcome.err;
}

TEST_F(CheckpasswordFileTest, FailsForATimeWhenTheUserCannotBeServed) {
  EXPECT_EQ(Run({passwd_, directory_ + "/none"}, Login("user", "secret")).exit, 111);
  EXPECT_EQ(Run({passwd_, home_}, Login("user", "secret")).exit, 111);  // a directory
  EXPECT_EQ(Run({"--min-uid", absl::StrCat(uid() + 1), passwd_, "true"}, Login("user", "secret")).exit, 111);
  ASSERT_EQ(rmdir(home_.c_str()), 0);
  const Outcome outcome = Try("user", "secret");
  EXPECT_EQ(outcome.exit, 111);
  EXPECT_TRUE(absl::StrContains(outcome.err, "home directory")) << outcome.err;
  EXPECT_EQ(Try("user", "wrong").exit, 1);  // only who has the password hears of it
}

TEST_F(CheckpasswordFileTest, CannotBecomeAnotherUserWithoutRoot) {
  const auto as_ordinary_user = [] {
    if (AmRoot() && (setgroups(0, nullptr) | setresgid(kGid, kGid, kGid) | setresuid(kUid, kUid, kUid)) != 0) _exit(98);
  };
  if (AmRoot()) {
    ASSERT_EQ(chown(passwd_.c_str(), 0, kGid), 0);  // root's file, lent to a group
    ASSERT_EQ(chmod(passwd_.c_str(), 0640), 0);
  }
  EXPECT_EQ(Try("user", "secret", "echo ran", as_ordinary_user).out, "ran\n");
  const std::string other_uid = absl::StrCat("u:", kYescrypt, ":", uid() + 1, ":", gid(), "::/\n");
  const std::string other_gid = absl::StrCat("g:", kYescrypt, ":", uid(), ":", gid() + 1, "::/\n");
  WritePasswd(other_uid + other_gid);
  if (AmRoot()) {
    ASSERT_EQ(chown(passwd_.c_str(), kUid, kGid), 0);
  }
  for (const char* login : {"u", "g"}) {
    const Outcome outcome = Try(login, "secret", "echo ran", as_ordinary_user);
    EXPECT_EQ(outcome.exit, 111) << login;
    EXPECT_TRUE(absl::StrContains(outcome.err, "only root")) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
}

TEST_F(CheckpasswordFileTest, AsRootRefusesWhatIsNotSafe) {
  if (!AmRoot()) GTEST_SKIP() << "needs root";
  // Somebody else's file, even though root can read it.
  ASSERT_EQ(chown(passwd_.c_str(), kUid, kGid), 0);
  Outcome outcome = Try("user", "secret", "echo ran", [] {});
  EXPECT_EQ(outcome.exit, 111);
  EXPECT_TRUE(absl::StrContains(outcome.err, "owned neither")) << outcome.err;

  // Group root.
  WritePasswd(absl::StrCat("user:", kYescrypt, ":", kUid, ":0::", home_, "\n"));
  outcome = Try("user", "secret");
  EXPECT_EQ(outcome.exit, 111);
  EXPECT_TRUE(absl::StrContains(outcome.err, "gid 0")) << outcome.err;

  // No way to change, and a way to change back (SECBIT_NO_SETUID_FIXUP keeps the capabilities).
  WritePasswd(Line("user", kYescrypt));
  EXPECT_EQ(Try("user", "secret", "echo ran",
                [] {
                  DropCapabilities();
                  prctl(PR_CAPBSET_DROP, CAP_SETUID);
                })
                .exit,
            111);
  outcome = Try("user", "secret", "echo ran", [] { prctl(PR_SET_SECUREBITS, 1 << 2); });
  EXPECT_EQ(outcome.exit, 111);
  EXPECT_EQ(outcome.out, "");
  EXPECT_TRUE(absl::StrContains(outcome.err, "root again")) << outcome.err;
}

TEST_F(CheckpasswordFileTest, DoesNotRunSetUserId) {
  if (!AmRoot()) GTEST_SKIP() << "needs root";
  struct statvfs mount;
  ASSERT_EQ(statvfs(program_.c_str(), &mount), 0);
  if ((mount.f_flag & ST_NOSUID) != 0) GTEST_SKIP() << "needs a /tmp without nosuid";
  ASSERT_EQ(chmod(program_.c_str(), 04755), 0);
  const Outcome outcome = Try("user", "secret", "echo ran", [] {
    if ((setgroups(0, nullptr) | setresgid(kGid, kGid, kGid) | setresuid(kUid, kUid, kUid)) != 0) _exit(98);
  });
  EXPECT_EQ(outcome.exit, 111);
  EXPECT_TRUE(absl::StrContains(outcome.err, "set-user-id")) << outcome.err;
}

TEST_F(CheckpasswordFileTest, MakesHashesItAccepts) {
  const auto hash = [this](const std::string& input) {
    int feed[2];
    EXPECT_EQ(pipe2(feed, O_CLOEXEC), 0);
    EXPECT_EQ(write(feed[1], input.data(), input.size()), static_cast<ssize_t>(input.size()));
    close(feed[1]);
    const int input_fd = fcntl(feed[0], F_DUPFD_CLOEXEC, 10);  // not 3, which Run() closes
    const Outcome outcome = Run(
        {"--hash"}, "", [input_fd] { dup2(input_fd, 0); }, false);
    close(feed[0]);
    close(input_fd);
    return outcome;
  };
  for (const char* input :
       {"k\xc3\xb6se pa\"ss: $word", "k\xc3\xb6se pa\"ss: $word\n", "k\xc3\xb6se pa\"ss: $word\nmore"}) {
    const Outcome made = hash(input);
    ASSERT_EQ(made.exit, 0) << made.err;
    EXPECT_TRUE(absl::StartsWith(made.out, "{CRYPT}$y$") && absl::EndsWith(made.out, "\n")) << made.out;
    WritePasswd(Line("user", absl::StripSuffix(made.out, "\n")));
    EXPECT_EQ(Try("user", "k\xc3\xb6se pa\"ss: $word").exit, 0);
    EXPECT_EQ(Try("user", "wrong").exit, 1);
  }
  EXPECT_EQ(hash(std::string(508, 'x')).exit, 0);
  for (const std::string& input : {std::string(), std::string("\n"), std::string("a\0b\n", 4), std::string("a\r\n"),
                                   std::string("\x03\n"), std::string(509, 'x'), std::string(5000, 'x')}) {
    const Outcome refused = hash(input);
    EXPECT_EQ(refused.exit, 2) << input;
    EXPECT_EQ(refused.out, "");
    EXPECT_FALSE(refused.err.empty());
  }
}

}  // namespace
}  // namespace postern::checkpassword
