// Instructions are written one rule after the other, not by libseccomp: its 2.5.4 merges the alternatives of all rules
// into shared blocks, and some programs so made allow what no rule allows (filter_test has two that the kernel, too,
// let pass). Here no two rules share an instruction, and the kernel's own bitmap makes unconditional rules as cheap as
// in a tree.
#include "sandbox/filter.h"

#include <linux/seccomp.h>
#include <seccomp.h>

#include <bit>
#include <cstddef>

#include "absl/strings/str_cat.h"

namespace postern::sandbox {
namespace {

static_assert(std::endian::native == std::endian::little, "which half of an argument comes first");

using Program = std::vector<sock_filter>;

constexpr uint32_t kX32Bit = 0x40000000;

sock_filter Load(size_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
sock_filter Return(uint32_t action) { return BPF_STMT(BPF_RET | BPF_K, action); }
sock_filter Jump(uint16_t test, uint32_t value, size_t if_true, size_t if_false) {
  return BPF_JUMP(static_cast<uint16_t>(BPF_JMP | test | BPF_K), value, static_cast<uint8_t>(if_true),
                  static_cast<uint8_t>(if_false));
}

uint32_t KernelAction(Action action, int error) {
  switch (action) {
    case Action::kAllow:
      return SECCOMP_RET_ALLOW;
    case Action::kErrno:
      return SECCOMP_RET_ERRNO | (static_cast<uint32_t>(error) & SECCOMP_RET_DATA);
    case Action::kKill:
      break;
  }
  return SECCOMP_RET_KILL_PROCESS;
}

// Returns `action` if all conditions hold, else falls through to what follows.
void AppendConjunction(const std::vector<Condition>& conjunction, uint32_t action, Program* program) {
  constexpr size_t kStepsOfCondition = 4;  // load and test the lower half, load and test the upper one
  // At most 6 conditions, so every distance fits into the 8 bits of a jump.
  const size_t steps = kStepsOfCondition * conjunction.size() + 1;
  const size_t end = program->size() + steps;
  for (const Condition& condition : conjunction) {
    const size_t offset = offsetof(seccomp_data, args) + sizeof(uint64_t) * static_cast<size_t>(condition.argument);
    for (const unsigned half : {0U, 1U}) {
      program->push_back(Load(offset + sizeof(uint32_t) * half));
      const auto value = static_cast<uint32_t>(condition.value >> (32 * half));
      const size_t to_end = end - program->size() - 1;
      program->push_back(condition.op == Condition::Op::kEqual ? Jump(BPF_JEQ, value, 0, to_end)
                                                               : Jump(BPF_JSET, ~value, to_end, 0));
    }
  }
  program->push_back(Return(action));
}

// Expects the number of the call in the accumulator, and leaves it there for the next rule.
void AppendRule(const Syscall& syscall, uint32_t default_action, Program* program) {
  const auto number = static_cast<uint32_t>(syscall.number);
  const uint32_t action = KernelAction(syscall.action, syscall.error);
  if (syscall.any_of.empty()) {
    program->push_back(Jump(BPF_JEQ, number, 0, 1));
    program->push_back(Return(action));
    return;
  }
  Program body;
  for (const std::vector<Condition>& conjunction : syscall.any_of) AppendConjunction(conjunction, action, &body);
  // A comparison states what is allowed of a call, whatever the default says of others.
  body.push_back(Return(default_action == SECCOMP_RET_ALLOW ? SECCOMP_RET_KILL_PROCESS : default_action));
  // The body may be longer than 8 bits can jump over.
  program->push_back(Jump(BPF_JEQ, number, 1, 0));
  program->push_back(BPF_STMT(BPF_JMP | BPF_JA, static_cast<uint32_t>(body.size())));
  program->insert(program->end(), body.begin(), body.end());
}

}  // namespace

absl::StatusOr<std::vector<sock_filter>> CompileFilter(const Stage& stage) {
  const uint32_t default_action = KernelAction(stage.default_action, 0);
  Program program = {
      Load(offsetof(seccomp_data, arch)),
      Jump(BPF_JEQ, seccomp_arch_native(), 1, 0),
      Return(SECCOMP_RET_KILL_PROCESS),
      Load(offsetof(seccomp_data, nr)),
  };
#ifdef __x86_64__
  program.push_back(Jump(BPF_JGE, kX32Bit, 0, 1));
  program.push_back(Return(SECCOMP_RET_KILL_PROCESS));
#endif
  for (const Syscall& syscall : stage.syscalls)
    if (syscall.number >= 0) AppendRule(syscall, default_action, &program);
  program.push_back(Return(default_action));
  if (program.size() > BPF_MAXINSNS)
    return absl::InvalidArgumentError(
        absl::StrCat("the filter has ", program.size(), " instructions; the kernel takes ", BPF_MAXINSNS));
  return program;
}

}  // namespace postern::sandbox
