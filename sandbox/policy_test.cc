#include "sandbox/policy.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

namespace postern::sandbox {
namespace {

constexpr char kGood[] = R"(policy v1
# tlsworker
[identity]
user = postern-tls       # comment
caps = none
no-new-privs = yes
dumpable = no
parent-death = kill
[descriptors]
keep = client log listener*
kind = client:inet-stream log:unix-seqpacket listener:inet-listener
[namespaces]
net, mount, ipc, uts = new
pid = keep
root = empty
landlock = deny-all try
[limits]
core = 0
as = 64M
memory-deny-exec = yes try
[syscalls zygote]
@default kill
read, write: allow
clone: arg0 == CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD
[limits worker]
nofile = 0
[syscalls worker]
@default kill
read: allow
mmap: arg2 in PROT_READ|PROT_WRITE && arg3 in MAP_PRIVATE|0x20 || arg2 == 0
openat, ?no_such_call: return EACCES
clone3: return ENOSYS
)";

TEST(PolicyTest, ReadsWhatIsWritten) {
  const auto policy = ParsePolicy("good", kGood);
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(policy->name, "good");
  EXPECT_EQ(policy->user, "postern-tls");
  EXPECT_TRUE(policy->caps.empty());
  EXPECT_TRUE(policy->no_new_privs && !policy->dumpable && policy->parent_death_kill);
  EXPECT_EQ(policy->keep, (std::vector<std::string>{"client", "log", "listener*"}));
  EXPECT_EQ(policy->kind.at("listener"), "inet-listener");
  EXPECT_TRUE(policy->net && policy->mount && policy->ipc && policy->uts && !policy->pid);
  EXPECT_TRUE(policy->root == Root::kEmpty && policy->tmpfs.empty());
  EXPECT_EQ(policy->landlock, Need::kTry);
  EXPECT_EQ(policy->memory_deny_exec, Need::kTry);
  ASSERT_EQ(policy->limits.size(), 2u);
  EXPECT_EQ(policy->limits[1].resource, RLIMIT_AS);
  EXPECT_EQ(policy->limits[1].value, 64u << 20);

  const Stage& worker = policy->stages.at("worker");
  ASSERT_EQ(worker.limits.size(), 1u);
  EXPECT_EQ(worker.limits[0].resource, RLIMIT_NOFILE);
  EXPECT_EQ(worker.default_action, Action::kKill);
  ASSERT_EQ(worker.syscalls.size(), 5u);
  const Syscall& map = worker.syscalls[1];
  ASSERT_EQ(map.any_of.size(), 2u);
  ASSERT_EQ(map.any_of[0].size(), 2u);
  EXPECT_EQ(map.any_of[0][1].argument, 3);
  EXPECT_EQ(map.any_of[0][1].op, Condition::Op::kWithin);
  EXPECT_EQ(map.any_of[0][1].value, uint64_t{MAP_PRIVATE | MAP_ANONYMOUS});
  EXPECT_EQ(map.any_of[1][0].op, Condition::Op::kEqual);
  EXPECT_EQ(worker.syscalls[2].error, EACCES);
  EXPECT_LT(worker.syscalls[3].number, 0);
  EXPECT_EQ(Describe(*policy),
            "own net,mount,ipc,uts; empty root; landlock if there is; no capabilities; no_new_privs; 3 system calls, "
            "worker 2");
}

TEST(PolicyTest, WhatIsLeftOutIsClosed) {
  const auto policy = ParsePolicy("t", "policy v1\n");
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_TRUE(policy->net && policy->mount && policy->ipc && policy->uts && policy->root == Root::kEmpty);
  EXPECT_TRUE(policy->no_new_privs && !policy->dumpable && policy->parent_death_kill);
  EXPECT_TRUE(policy->caps.empty() && policy->keep.empty() && policy->stages.empty());
}

TEST(PolicyTest, TheLaunchersPolicyIsPossible) {
  const auto policy = ParsePolicy("t",
                                  "policy v1\n[identity]\ncaps = setuid, setgid, kill\nno-new-privs = no\n"
                                  "[namespaces]\nnet, mount, ipc, uts, root = keep\npid = new\n"
                                  "[syscalls enter]\n@default allow\nptrace, bpf: kill\nclone3: return ENOSYS\n");
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(policy->caps, (std::vector<std::string>{"setuid", "setgid", "kill"}));
  EXPECT_EQ(Describe(*policy), "own pid; capabilities setuid,setgid,kill; all but 3 system calls");
}

TEST(PolicyTest, ARootThatOnlyCanBeRead) {
  const auto policy =
      ParsePolicy("t", "policy v1\n[namespaces]\nnet, mount, ipc, uts, pid = new\nroot = read-only\ntmpfs = /run\n");
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(policy->root, Root::kReadOnly);
  EXPECT_EQ(policy->tmpfs, "/run");
  EXPECT_EQ(Describe(*policy), "own net,mount,ipc,uts,pid; read-only root; own /run; no capabilities; no_new_privs");
}

struct Bad {
  const char* text;
  const char* errors;
};

// Behind "policy v1\n", so that the first line here is line 2.
const Bad kBadFiles[] = {
    {"user = x\n", "t:2:1: expected a section, e.g. [identity]"},
    {"[identity\n", "t:2:1: expected [SECTION] or [SECTION STAGE]"},
    {"[identty]\nuser = x\n", "t:2:2: unknown section \"identty\" (did you mean identity?)"},
    {"[syscalls]\nread: allow\n", "t:2:2: [syscalls] has to name its stage, e.g. [syscalls worker]"},
    {"[identity worker]\n", "t:2:11: [identity] is for all stages"},
    {"[syscalls Worker]\n", "t:2:11: not a name of a stage: \"Worker\""},
    {"[identity]\n[identity]\n", "t:3:2: [identity] is stated twice, first on line 2"},
    {"[identity]\nuser\n", "t:3:1: expected \"key = value\""},
    {"[identity]\nuser =\n", "t:3:1: \"user\" has no value"},
    {"[identity]\nuser = a\n  user = b\n", "t:4:3: \"user\" is stated twice in [identity], first on line 3"},
    {"[identity]\nuser = root\n", "t:3:8: a role cannot be root"},
    {"[identity]\nuser = 0\n", "t:3:8: not the name of a user: \"0\""},
    {"[identity]\nusr = a\n", "t:3:1: unknown key \"usr\" in [identity] (did you mean user?)"},
    {"[identity]\ncaps = setuid sys_admn\n", "t:3:15: unknown capability \"sys_admn\" (did you mean sys_admin?)"},
    {"[identity]\ncaps = 7\n", "t:3:8: unknown capability \"7\""},
    {"[identity]\ncaps = kill kill\n", "t:3:13: \"kill\" is stated twice"},
    {"[identity]\nno-new-privs = maybe\n", "t:3:16: \"maybe\" is no value of \"no-new-privs\": no, yes"},
    {"[descriptors]\nkeep = log\n", "t:3:8: \"log\" has no kind: kind = log:KIND"},
    {"[descriptors]\nkeep = log*\nkind = lgo:file\n",
     "t:3:8: \"log\" has no kind: kind = log:KIND\nt:4:8: \"lgo\" is not kept (did you mean log?)"},
    {"[descriptors]\nkeep = log log*\nkind = log:file\n", "t:3:12: \"log\" is stated twice"},
    {"[descriptors]\nkeep = log\nkind = log:pipe-wrte\n",
     "t:4:12: unknown kind \"pipe-wrte\" (did you mean pipe-write?)"},
    {"[descriptors]\nkeep = log\nkind = log\n",
     "t:3:8: \"log\" has no kind: kind = log:KIND\nt:4:8: expected NAME:KIND, found \"log\""},
    {"[namespaces]\nnet = holder\n", "t:3:7: \"holder\" is no value of \"net\": keep, new"},
    {"[namespaces]\nmount = keep\n",
     "t:3:1: mount = keep needs root = keep: without a mount namespace of its own the root cannot be empty"},
    {"[namespaces]\nmount = keep\nroot = read-only\n",
     "t:3:1: mount = keep needs root = keep: without a mount namespace of its own the root cannot be read-only"},
    {"[namespaces]\nroot = readonly\n", "t:3:8: \"readonly\" is no value of \"root\": keep, read-only, empty"},
    {"[namespaces]\nmount, root = keep\ntmpfs = /run\n", "t:4:1: tmpfs needs mount = new: everybody would see it"},
    {"[namespaces]\ntmpfs = /run\n",
     "t:3:1: tmpfs needs root = keep or read-only: in an empty root there is no directory"},
    {"[namespaces]\nroot = keep\ntmpfs = run\n", "t:4:9: not the path of a directory: \"run\""},
    {"[namespaces]\nroot = keep\ntmpfs = /\n", "t:4:9: not the path of a directory: \"/\""},
    {"[namespaces]\nroot = keep\ntmpfs = /run/../etc\n", "t:4:9: not the path of a directory: \"/run/../etc\""},
    {"[namespaces]\nlandlock = deny-all\n[identity]\nno-new-privs = no\n", "t:3:1: landlock needs no-new-privs = yes"},
    {"[limits]\nnofiles = 3\n", "t:3:1: unknown key \"nofiles\" in [limits] (did you mean nofile?)"},
    {"[limits]\nas = 64MB\n", "t:3:6: expected a number, which may end in K, M or G; found \"64MB\""},
    {"[limits]\nas = 18446744073709551615K\n",
     "t:3:6: expected a number, which may end in K, M or G; found \"18446744073709551615K\""},
    {"[limits wroker]\ncore = 0\n[syscalls worker]\n@default kill\nread: allow\n",
     "t:2:2: there is no [syscalls wroker] (did you mean worker?)"},
    {"[syscalls worker]\n", "t:2:2: [syscalls worker] has to begin with @default kill or @default allow"},
    {"[identity]\nno-new-privs = no\n[syscalls worker]\n@default kill\nread: allow\n",
     "t:4:2: no-new-privs = no leaves only a stage named \"enter\": later there is no right to load a filter\n"
     "t:4:2: under no-new-privs = no the stage has to be @default allow"},
    {"[identity]\nuser = a\r\n", "t:3:9: octet 0x0d (lines end in a line feed only)"},
    {"[identity]\nus\xc3\xa9r = a\n", "t:3:3: only ASCII is possible outside comments"},
    // All errors of a run, in the order of the lines.
    {"[namespaces]\nmount = keep\nnte = new\n[limits]\nnproc = x\n[syscalls s]\n@default kill\nraed: allow\n",
     "t:3:1: mount = keep needs root = keep: without a mount namespace of its own the root cannot be empty\n"
     "t:4:1: unknown key \"nte\" in [namespaces] (did you mean net?)\n"
     "t:6:9: expected a number, which may end in K, M or G; found \"x\"\n"
     "t:9:1: unknown syscall \"raed\" (did you mean read?)"},
};

TEST(PolicyTest, NamesEveryErrorOfAFile) {
  for (const Bad& bad : kBadFiles) {
    const auto policy = ParsePolicy("t", absl::StrCat("policy v1\n", bad.text));
    EXPECT_EQ(policy.status().code(), absl::StatusCode::kInvalidArgument) << bad.text;
    EXPECT_EQ(std::string(policy.status().message()), bad.errors) << bad.text;
  }
}

// Behind "policy v1\n[syscalls s]\n@default kill\n", so that the first line here is line 4.
const Bad kBadRules[] = {
    {"newfstat: allow", "t:4:1: unknown syscall \"newfstat\" (did you mean newfstatat?)"},
    {"read", "t:4:1: expected \"name, name: rule\""},
    {"read:", "t:4:6: expected a rule: allow, kill, return ERRNO, or a comparison"},
    {": allow", "t:4:1: expected the name of a system call, found \"\""},
    {"read, write,: allow", "t:4:13: expected the name of a system call, found \"\""},
    {"re-ad: allow", "t:4:1: expected the name of a system call, found \"re-ad\""},
    {"read: alow", "t:4:7: unknown rule \"alow\" (did you mean allow?)"},
    {"read: notify", "t:4:7: unknown rule \"notify\""},
    {"@group malloc", "t:4:1: unknown directive \"@group\""},
    {"@default kill", "t:4:1: @default has to be stated once, on the first line of the section"},
    {"brk: allow\nread, brk: return EPERM", "t:5:7: \"brk\" is stated twice in [syscalls s], first on line 4"},
    {"brk: alow\nbrk: allow",
     "t:4:6: unknown rule \"alow\" (did you mean allow?)\n"
     "t:5:1: \"brk\" is stated twice in [syscalls s], first on line 4"},
    {"execve: kill", "t:4:1: this rule for \"execve\" is the default of the section"},
    {"getpid: return EPERM", "t:4:1: \"getpid: return\" would blind OpenSSL's fork check"},
    {"read, ?getrandom: return ENOSYS", "t:4:7: \"getrandom: return\" would blind OpenSSL's random numbers"},
    {"clone3: allow", "t:4:1: clone3 can only be \"return ENOSYS\": the filter cannot see its flags"},
    {"clone3: return EPERM", "t:4:1: clone3 can only be \"return ENOSYS\": the filter cannot see its flags"},
    {"open: return EACCESS", "t:4:14: unknown errno \"EACCESS\" (did you mean EACCES?)"},
    {"open: return", "t:4:7: expected \"return ERRNO\", e.g. return ENOSYS"},
    {"open: return 13", "t:4:14: unknown errno \"13\""},
    {"kill: arg0 == 1 && arg0 == 2", "t:4:20: arg0 is compared twice in one conjunction"},
    {"kill: arg0 == 1 || arg0 == 0x1", "t:4:20: this alternative is stated twice"},
    {"kill: arg0 == 1 && arg1 == 2 || arg1 == 2 && arg0 == 1", "t:4:33: this alternative is stated twice"},
    {"kill: arg6 == 1", "t:4:7: expected a comparison: arg0 to arg5, then == or in, then a value"},
    {"kill: arg0 == 1 &&", "t:4:19: expected a comparison: arg0 to arg5, then == or in, then a value"},
    {"kill: arg0 != 1",
     "t:4:12: expected == or in after arg0; no other comparison is safe where the kernel reads only 32 of the 64 bits"},
    {"kill: arg0 <= 1",
     "t:4:12: expected == or in after arg0; no other comparison is safe where the kernel reads only 32 of the 64 bits"},
    {"kill: arg0 = 1",
     "t:4:12: expected == or in after arg0; no other comparison is safe where the kernel reads only 32 of the 64 bits"},
    {"recvfrom: arg3 in MSG_PEAK", "t:4:19: unknown symbol \"MSG_PEAK\" (did you mean MSG_PEEK?)"},
    {"recvfrom: arg3 in msg_peek", "t:4:19: unknown symbol \"msg_peek\" (did you mean MSG_PEEK?)"},
    {"kill: arg0 == -1", "t:4:15: expected a number or a symbol, found \"-1\"; write all 64 bits in hexadecimal"},
    {"kill: arg0 == ", "t:4:14: expected a number or a symbol, found \"\""},
    {"kill: arg0 == 0600", "t:4:15: not a number of 64 bits, decimal or 0x...: \"0600\""},
    {"kill: arg0 == 0x1ffffffffffffffff", "t:4:15: not a number of 64 bits, decimal or 0x...: \"0x1ffffffffffffffff\""},
    {"kill: arg0 == 18446744073709551616",
     "t:4:15: not a number of 64 bits, decimal or 0x...: \"18446744073709551616\""},
    {"kill: arg0 in 0xffffffffffffffff", "t:4:15: every value is in this mask; leave the comparison out"},
};

TEST(PolicyTest, NamesEveryErrorOfARule) {
  for (const Bad& bad : kBadRules) {
    const auto policy = ParsePolicy("t", absl::StrCat("policy v1\n[syscalls s]\n@default kill\n", bad.text, "\n"));
    EXPECT_EQ(policy.status().code(), absl::StatusCode::kInvalidArgument) << bad.text;
    EXPECT_EQ(std::string(policy.status().message()), bad.errors) << bad.text;
  }
}

TEST(PolicyTest, DefaultOfAStage) {
  const Bad kRows[] = {
      {"read: allow\nwrite: allow", "t:3:1: [syscalls s] has to begin with @default kill or @default allow"},
      {"@default notify", "t:3:10: @default has to be kill or allow"},
      {"@default", "t:3:1: @default has to be kill or allow"},
      {"@default allow\nread: allow", "t:4:1: this rule for \"read\" is the default of the section"},
  };
  for (const Bad& bad : kRows) {
    const auto policy = ParsePolicy("t", absl::StrCat("policy v1\n[syscalls s]\n", bad.text, "\n"));
    EXPECT_EQ(std::string(policy.status().message()), bad.errors) << bad.text;
  }
}

TEST(PolicyTest, FirstLine) {
  constexpr char kError[] = "t:1:1: the first line has to be \"policy v1\"";
  for (const char* text : {"", "policy v2\n", "\npolicy v1\n", "# policy\npolicy v1", "policy v1x\n"}) {
    const auto policy = ParsePolicy("t", text);
    EXPECT_TRUE(absl::StartsWith(policy.status().message(), kError)) << text << policy.status();
  }
  EXPECT_TRUE(ParsePolicy("t", "policy v1  # of the form").ok());
}

TEST(PolicyTest, StopsAfterAHundredErrors) {
  std::string text = "policy v1\n";
  for (int i = 0; i < 200; ++i) absl::StrAppend(&text, "?\n");
  const std::string message(ParsePolicy("t", text).status().message());
  EXPECT_EQ(std::vector<std::string>(absl::StrSplit(message, '\n')).size(), 101u);
  EXPECT_TRUE(absl::EndsWith(message, "t: and more; these are the first 100"));
  EXPECT_FALSE(ParsePolicy("t", absl::StrCat("policy v1\n#", std::string(kPolicyOctetsMax, 'x'))).ok());
}

TEST(PolicyTest, LoadRefusesWhatOthersCanWrite) {
  const std::string path = absl::StrCat(getenv("TEST_TMPDIR"), "/role.policy");
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0);
  const std::string text = kGood;
  ASSERT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  EXPECT_TRUE(LoadPolicy(path).ok()) << LoadPolicy(path).status();
  for (const mode_t mode : {0620, 0602}) {
    ASSERT_EQ(fchmod(fd, mode), 0);
    EXPECT_EQ(LoadPolicy(path).status().message(), absl::StrCat(path, ": writable by group or others; chmod go-w"));
  }
  close(fd);
  EXPECT_EQ(LoadPolicy(path + "x").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(LoadPolicy("/dev/null").status().message(), "/dev/null: not a regular file");
}

}  // namespace
}  // namespace postern::sandbox
