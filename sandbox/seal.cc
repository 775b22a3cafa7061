// Seal: the compiler from a stage to a seccomp filter, and its application.
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "sandbox/apply.h"
#include "sandbox/cage.h"

namespace postern::sandbox {
namespace {

struct Release {
  void operator()(void* context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, Release>;

uint32_t SeccompAction(Action action, int error) {
  switch (action) {
    case Action::kAllow:
      return SCMP_ACT_ALLOW;
    case Action::kErrno:
      return SCMP_ACT_ERRNO(static_cast<uint16_t>(error));
    case Action::kKill:
      break;
  }
  return SCMP_ACT_KILL_PROCESS;
}

// Every comparison looks at all 64 bits: the mask of SCMP_CMP_MASKED_EQ says which must be zero.
scmp_arg_cmp Compare(const Condition& condition) {
  const auto argument = static_cast<unsigned>(condition.argument);
  if (condition.op == Condition::Op::kEqual) return {argument, SCMP_CMP_EQ, condition.value, 0};
  return {argument, SCMP_CMP_MASKED_EQ, ~condition.value, 0};
}

absl::Status AddRules(scmp_filter_ctx context, const Syscall& syscall) {
  const uint32_t action = SeccompAction(syscall.action, syscall.error);
  int result = 0;
  if (syscall.any_of.empty()) result = seccomp_rule_add_exact_array(context, action, syscall.number, 0, nullptr);
  for (const std::vector<Condition>& conjunction : syscall.any_of) {
    std::vector<scmp_arg_cmp> comparisons;
    for (const Condition& condition : conjunction) comparisons.push_back(Compare(condition));
    result = seccomp_rule_add_exact_array(context, action, syscall.number, static_cast<unsigned>(comparisons.size()),
                                          comparisons.data());
    if (result != 0) break;
  }
  if (result == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("line ", syscall.line, ": libseccomp does not take the rule for ", syscall.name,
                                          ": ", strerror(-result)));
}

// Through a pipe, which holds the longest filter there can be; a file would be subject to RLIMIT_FSIZE.
absl::StatusOr<std::vector<sock_filter>> Export(scmp_filter_ctx context) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return absl::ErrnoToStatus(errno, "pipe2");
  const base::UniqueFd reader(ends[0]), writer(ends[1]);
  if (const int result = seccomp_export_bpf(context, writer.get()); result != 0)
    return absl::InternalError(absl::StrCat("seccomp_export_bpf: ", strerror(-result)));
  std::vector<sock_filter> program(BPF_MAXINSNS);
  const ssize_t octets = read(reader.get(), program.data(), program.size() * sizeof(sock_filter));
  if (octets <= 0 || static_cast<size_t>(octets) % sizeof(sock_filter) != 0)
    return absl::InternalError("seccomp_export_bpf wrote no filter");
  program.resize(static_cast<size_t>(octets) / sizeof(sock_filter));
  return program;
}

}  // namespace

absl::StatusOr<Seal> Seal::Prepare(const Policy& policy, absl::string_view stage_name) {
  const auto found = policy.stages.find(std::string(stage_name));
  if (found == policy.stages.end())
    return absl::NotFoundError(absl::StrCat(policy.name, ": no [syscalls ", stage_name, "]"));
  const Stage& stage = found->second;
  const Context context(seccomp_init(SeccompAction(stage.default_action, 0)));
  if (context == nullptr) return absl::ResourceExhaustedError("seccomp_init");
  // Another architecture's numbers (int 0x80, x32) would mean other calls.
  if (seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) != 0)
    return absl::InternalError("SCMP_FLTATR_ACT_BADARCH");
  for (const Syscall& syscall : stage.syscalls)
    if (syscall.number >= 0) RETURN_IF_ERROR(AddRules(context.get(), syscall));
  Seal seal;
  seal.limits_ = stage.limits;
  seal.memory_deny_exec_ = stage.memory_deny_exec;
  ASSIGN_OR_RETURN(seal.program_, Export(context.get()));
  return seal;
}

absl::Status Seal::Apply() const {
  RETURN_IF_ERROR(ApplyLimits(limits_));
  RETURN_IF_ERROR(DenyExecutableMemory(memory_deny_exec_));
  const sock_fprog program = {static_cast<uint16_t>(program_.size()), const_cast<sock_filter*>(program_.data())};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) return absl::ErrnoToStatus(errno, "seccomp");
  return absl::OkStatus();
}

absl::Status ApplyLimits(const std::vector<Limit>& limits) {
  for (const Limit& limit : limits) {
    const auto resource = static_cast<__rlimit_resource_t>(limit.resource);
    rlimit value;
    if (getrlimit(resource, &value) != 0) return absl::ErrnoToStatus(errno, "getrlimit");
    if (value.rlim_max > limit.value) value.rlim_max = limit.value;
    if (value.rlim_cur > value.rlim_max) value.rlim_cur = value.rlim_max;
    if (setrlimit(resource, &value) != 0) return absl::ErrnoToStatus(errno, "setrlimit");
  }
  return absl::OkStatus();
}

absl::Status DenyExecutableMemory(Need need) {
  constexpr int kSetMdwe = 65;  // PR_SET_MDWE, Linux 6.3: newer than Debian 12's headers
  constexpr unsigned long kRefuseExecGain = 1;
  if (need == Need::kNo || prctl(kSetMdwe, kRefuseExecGain, 0, 0, 0) == 0) return absl::OkStatus();
  if (need == Need::kTry) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("memory-deny-exec: ", strerror(errno), " (Linux 6.3 has it)"));
}

}  // namespace postern::sandbox
