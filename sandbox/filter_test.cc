#include "sandbox/filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <random>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace postern::sandbox {
namespace {

constexpr uint64_t kGarbage = uint64_t{1} << 32;
constexpr uint32_t kErrnoAction = SECCOMP_RET_ERRNO;

// What the kernel does with a classic BPF program over seccomp_data; only the instructions that CompileFilter and
// libseccomp make.
uint32_t Evaluate(const std::vector<sock_filter>& program, const seccomp_data& data) {
  uint32_t accumulator = 0;
  for (size_t i = 0; i < program.size(); ++i) {
    const sock_filter& step = program[i];
    bool taken = false;
    switch (step.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        memcpy(&accumulator, reinterpret_cast<const char*>(&data) + step.k, sizeof(accumulator));
        continue;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= step.k;
        continue;
      case BPF_RET | BPF_K:
        return step.k;
      case BPF_JMP | BPF_JA:
        i += step.k;
        continue;
      case BPF_JMP | BPF_JEQ | BPF_K:
        taken = accumulator == step.k;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        taken = accumulator >= step.k;
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        taken = accumulator > step.k;
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        taken = (accumulator & step.k) != 0;
        break;
      default:
        ADD_FAILURE() << "instruction " << step.code;
        return 0;
    }
    i += taken ? step.jt : step.jf;
  }
  ADD_FAILURE() << "ran past the end";
  return 0;
}

seccomp_data Call(long number, std::vector<uint64_t> arguments = {}) {
  seccomp_data data = {};
  data.nr = static_cast<int>(number);
  data.arch = AUDIT_ARCH_X86_64;
  for (size_t i = 0; i < arguments.size(); ++i) data.args[i] = arguments[i];
  return data;
}

Stage Compiled(absl::string_view rules, std::vector<sock_filter>* program) {
  const auto policy = ParsePolicy("t", absl::StrCat("policy v1\n[syscalls s]\n", rules));
  EXPECT_TRUE(policy.ok()) << policy.status();
  if (!policy.ok()) return {};
  const auto compiled = CompileFilter(policy->stages.at("s"));
  EXPECT_TRUE(compiled.ok()) << compiled.status();
  if (compiled.ok()) *program = *compiled;
  return policy->stages.at("s");
}

// The meaning of a stage, without libseccomp.
uint32_t Expected(const Stage& stage, const seccomp_data& data) {
  const auto value_of = [](Action action, int error) {
    return action == Action::kAllow   ? SECCOMP_RET_ALLOW
           : action == Action::kErrno ? kErrnoAction | static_cast<uint32_t>(error)
                                      : SECCOMP_RET_KILL_PROCESS;
  };
  for (const Syscall& syscall : stage.syscalls) {
    if (syscall.number != data.nr) continue;
    bool any = syscall.any_of.empty();
    for (const auto& conjunction : syscall.any_of) {
      bool all = true;
      for (const Condition& condition : conjunction) {
        const uint64_t argument = data.args[condition.argument];
        all = all && (condition.op == Condition::Op::kEqual ? argument == condition.value
                                                            : (argument & ~condition.value) == 0);
      }
      any = any || all;
    }
    if (any) return value_of(syscall.action, syscall.error);
  }
  return value_of(stage.default_action, 0);
}

TEST(FilterTest, DecidesByTheTable) {
  std::vector<sock_filter> program;
  Compiled(
      "@default kill\nread, write: allow\nopenat: return EACCES\n"
      "mmap: arg2 in PROT_READ|PROT_WRITE && arg3 in MAP_PRIVATE|MAP_ANONYMOUS\n"
      "socket: arg0 == AF_UNIX || arg0 == AF_INET && arg1 == SOCK_STREAM\nshutdown: arg1 == SHUT_RD\n",
      &program);
  const struct {
    seccomp_data data;
    uint32_t action;
  } kRows[] = {
      {Call(SYS_read), SECCOMP_RET_ALLOW},
      {Call(SYS_openat), kErrnoAction | EACCES},
      {Call(SYS_execve), SECCOMP_RET_KILL_PROCESS},
      {Call(SYS_mmap, {0, 1, PROT_READ, MAP_PRIVATE}), SECCOMP_RET_ALLOW},
      {Call(SYS_mmap, {0, 1, PROT_NONE, 0}), SECCOMP_RET_ALLOW},
      {Call(SYS_mmap, {0, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE}), SECCOMP_RET_KILL_PROCESS},
      {Call(SYS_mmap, {0, 1, kGarbage | PROT_READ, MAP_PRIVATE}), SECCOMP_RET_KILL_PROCESS},
      {Call(SYS_mmap, {0, 1, PROT_READ, MAP_SHARED}), SECCOMP_RET_KILL_PROCESS},
      {Call(SYS_socket, {AF_UNIX, SOCK_DGRAM}), SECCOMP_RET_ALLOW},
      {Call(SYS_socket, {AF_INET, SOCK_STREAM}), SECCOMP_RET_ALLOW},
      {Call(SYS_socket, {AF_INET, SOCK_DGRAM}), SECCOMP_RET_KILL_PROCESS},
      {Call(SYS_socket, {kGarbage | AF_UNIX, SOCK_DGRAM}), SECCOMP_RET_KILL_PROCESS},
      {Call(SYS_shutdown, {0, 0}), SECCOMP_RET_ALLOW},
      {Call(SYS_shutdown, {0, kGarbage}), SECCOMP_RET_KILL_PROCESS},
      {Call(SYS_shutdown, {0, 2}), SECCOMP_RET_KILL_PROCESS},
      // x32, and a number no table has.
      {Call(0x40000000 | SYS_read), SECCOMP_RET_KILL_PROCESS},
      {Call(1000), SECCOMP_RET_KILL_PROCESS},
  };
  for (const auto& row : kRows)
    EXPECT_EQ(Evaluate(program, row.data), row.action)
        << row.data.nr << " " << row.data.args[0] << " " << row.data.args[2];
  seccomp_data other = Call(3);
  other.arch = AUDIT_ARCH_I386;
  EXPECT_EQ(Evaluate(program, other), SECCOMP_RET_KILL_PROCESS);
}

TEST(FilterTest, AllowByDefaultStillKillsOtherArchitectures) {
  std::vector<sock_filter> program;
  Compiled("@default allow\nptrace, mount: kill\nclone3: return ENOSYS\n", &program);
  EXPECT_EQ(Evaluate(program, Call(SYS_execve)), SECCOMP_RET_ALLOW);
  EXPECT_EQ(Evaluate(program, Call(SYS_ptrace)), SECCOMP_RET_KILL_PROCESS);
  EXPECT_EQ(Evaluate(program, Call(SYS_clone3)), kErrnoAction | ENOSYS);
  EXPECT_EQ(Evaluate(program, Call(0x40000000 | SYS_ptrace)), SECCOMP_RET_KILL_PROCESS);
  seccomp_data other = Call(26);
  other.arch = AUDIT_ARCH_I386;
  EXPECT_EQ(Evaluate(program, other), SECCOMP_RET_KILL_PROCESS);
}

// Not "deny if": what is denied could be disguised in the upper half of an argument.
TEST(FilterTest, AComparisonSaysWhatIsAllowedUnderEitherDefault) {
  constexpr uint64_t kNewUser = 0x10000000;
  for (const char* text :
       {"@default allow\nclone: arg0 in 0x81fdffff\n", "@default kill\nclone: arg0 in 0x81fdffff\n"}) {
    std::vector<sock_filter> program;
    Compiled(text, &program);
    EXPECT_EQ(Evaluate(program, Call(SYS_clone, {SIGCHLD})), SECCOMP_RET_ALLOW);
    EXPECT_EQ(Evaluate(program, Call(SYS_clone, {kNewUser | SIGCHLD})), SECCOMP_RET_KILL_PROCESS);
    EXPECT_EQ(Evaluate(program, Call(SYS_clone, {uint64_t{1} << 32 | SIGCHLD})), SECCOMP_RET_KILL_PROCESS);
  }
}

// Compiled by libseccomp 2.5.4 both let this mmap pass, in the kernel too, and only with these neighbours: the first
// with equality as MASKED_EQ of all bits, the second with SCMP_CMP_EQ.
TEST(FilterTest, AlternativesDoNotLeakIntoEachOther) {
  std::vector<sock_filter> program;
  Compiled(
      "@default kill\nread: allow\nmmap: arg0 in 5 && arg2 in 3 || arg0 == 255 && arg1 in 34359738368\n"
      "socket: arg0 == 0 || arg1 in 8 && arg2 == 4294967296 || arg2 in 0\n"
      "prctl: arg0 in 9223372036854775809 || arg1 == 4294967296 && arg2 in 255 || arg0 in 5 && arg2 in 3 || arg0 == "
      "3\n",
      &program);
  EXPECT_EQ(Evaluate(program, Call(SYS_mmap, {255, 1, 0})), SECCOMP_RET_KILL_PROCESS);
  EXPECT_EQ(Evaluate(program, Call(SYS_mmap, {255, 0, 0})), SECCOMP_RET_ALLOW);
  Compiled(
      "@default kill\nread: allow\nmmap: arg0 == 1 || arg0 == 8 && arg1 == 3\n"
      "socket: arg0 == 3 || arg1 == 1 && arg2 == 4294967297 || arg2 in 1 || arg0 == 1\n"
      "prctl: arg0 == 4294967296 && arg1 == 1 || arg0 in 3 && arg1 == 9223372036854775809\n",
      &program);
  EXPECT_EQ(Evaluate(program, Call(SYS_mmap, {8, 1, 3})), SECCOMP_RET_KILL_PROCESS);
  EXPECT_EQ(Evaluate(program, Call(SYS_mmap, {8, 3, 3})), SECCOMP_RET_ALLOW);
}

// libseccomp builds a tree from the alternatives, where several values of several arguments meet; every program it
// makes of random rules has to mean what the rules say.
TEST(FilterTest, RandomRulesMeanWhatTheySay) {
  std::mt19937_64 random(20240611);
  const uint64_t kValues[] = {0, 1, 2, 3, 5, 8, 0xff, kGarbage, kGarbage | 1, kGarbage << 3, 0x8000000000000001};
  const auto pick = [&] { return kValues[random() % std::size(kValues)]; };
  const long kCalls[] = {SYS_mmap, SYS_socket, SYS_prctl};
  int allowed = 0;
  int killed = 0;
  for (int round = 0; round < 400; ++round) {
    std::string rules = "@default kill\nread: allow\n";
    for (const char* name : {"mmap", "socket", "prctl"}) {
      absl::StrAppend(&rules, name, ": ");
      std::vector<std::string> seen;
      const size_t alternatives = 1 + random() % 4;
      for (size_t i = 0; i < alternatives; ++i) {
        std::string conjunction;
        for (int argument = 0; argument < 3; ++argument) {
          if (argument != static_cast<int>(i % 3) && random() % 2 == 0) continue;
          absl::StrAppend(&conjunction, conjunction.empty() ? "" : " && ", "arg", argument,
                          random() % 2 == 0 ? " == " : " in ", pick());
        }
        if (std::find(seen.begin(), seen.end(), conjunction) != seen.end()) continue;
        absl::StrAppend(&rules, seen.empty() ? "" : " || ", conjunction);
        seen.push_back(conjunction);
      }
      absl::StrAppend(&rules, "\n");
    }
    std::vector<sock_filter> program;
    const Stage stage = Compiled(rules, &program);
    ASSERT_FALSE(program.empty()) << rules;
    for (int probe = 0; probe < 400; ++probe) {
      const seccomp_data data = Call(kCalls[random() % 3], {pick(), pick(), pick()});
      ++(Expected(stage, data) == SECCOMP_RET_ALLOW ? allowed : killed);
      ASSERT_EQ(Evaluate(program, data), Expected(stage, data))
          << rules << data.nr << ": " << data.args[0] << " " << data.args[1] << " " << data.args[2];
    }
  }
  // Else the test would say nothing.
  EXPECT_GT(allowed, 10000);
  EXPECT_GT(killed, 10000);
}

TEST(FilterTest, JumpsOverTheLongestRule) {
  std::string rules = "@default kill\nmmap: ";
  for (int i = 0; i < 32; ++i)
    absl::StrAppend(&rules, i == 0 ? "" : " || ", "arg0 == ", i,
                    " && arg1 == 1 && arg2 == 2 && arg3 == 3 && arg4 == 4 && arg5 == 5");
  std::vector<sock_filter> program;
  Compiled(rules + "\nread: allow\n", &program);
  EXPECT_EQ(Evaluate(program, Call(SYS_mmap, {31, 1, 2, 3, 4, 5})), SECCOMP_RET_ALLOW);
  EXPECT_EQ(Evaluate(program, Call(SYS_mmap, {32, 1, 2, 3, 4, 5})), SECCOMP_RET_KILL_PROCESS);
  EXPECT_EQ(Evaluate(program, Call(SYS_read)), SECCOMP_RET_ALLOW);
}

}  // namespace
}  // namespace postern::sandbox
