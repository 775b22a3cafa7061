#ifndef POSTERN_SANDBOX_POLICY_H_
#define POSTERN_SANDBOX_POLICY_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace postern::sandbox {

// A layer that an older kernel may lack: kTry goes on without it (and logs that), kRequire does not start.
enum class Need { kNo, kTry, kRequire };

// What is left of the machine's files.
enum class Root {
  kKeep,
  kReadOnly,  // all that is mounted, and none of it can be written to; /proc shows the own PID namespace
  kEmpty,
};

enum class Action { kAllow, kErrno, kKill };

// All 64 bits of an argument count: an int with garbage above bit 31 matches nothing.
struct Condition {
  enum class Op {
    kEqual,  // argument == value
    kWithin  // argument has no bit that value has not
  };
  int argument = 0;  // 0 to 5
  Op op = Op::kEqual;
  uint64_t value = 0;
};

struct Syscall {
  std::string name;
  int number = -1;  // on this machine; negative: another architecture's, or unknown but written with '?': no rule made
  Action action = Action::kAllow;
  int error = 0;  // for kErrno
  // Empty: always. Else one of these conjunctions must hold; if none does, the call is killed.
  std::vector<std::vector<Condition>> any_of;
  int line = 0;
};

// A ceiling: never raises what is lower already.
struct Limit {
  int resource = 0;  // RLIMIT_...
  uint64_t value = 0;
};

// [syscalls NAME] and, if there is one, [limits NAME].
struct Stage {
  std::vector<Limit> limits;
  Need memory_deny_exec = Need::kNo;
  Action default_action = Action::kKill;  // kKill or kAllow
  std::vector<Syscall> syscalls;
  int line = 0;  // of [syscalls NAME]: the order in the file
};

// What the file does not say is what these initial values say.
struct Policy {
  std::string name;  // the file's path, for messages
  std::string user;  // who the role becomes when started as root and no uid range is configured; may be empty
  std::vector<std::string> caps;  // "setuid", ... kept; empty = none
  bool no_new_privs = true;
  bool dumpable = false;
  bool parent_death_kill = true;
  std::vector<std::string> keep;            // descriptor names; "listener*" = any number of "listener"
  std::map<std::string, std::string> kind;  // name (without *) -> inet-listener|inet-stream|unix-seqpacket|unix-stream|
                                            // pipe-read|pipe-write|file|any; every kept name has one
  bool net = true, mount = true, ipc = true, uts = true;  // true = new
  bool pid = false;
  Root root = Root::kEmpty;
  std::string tmpfs;  // a directory that is the role's own: small, empty, and gone with it; "" = none
  Need landlock = Need::kNo;
  Need memory_deny_exec = Need::kNo;
  std::vector<Limit> limits;  // [limits] without a name: set by Enter
  // By name; never "". The stage "enter" is applied by Enter itself, as its last act. Under no-new-privs = no it is the
  // only one possible (a filter then needs CAP_SYS_ADMIN, which Enter gives up after it) and must be @default allow.
  std::map<std::string, Stage> stages;
};

inline constexpr size_t kPolicyOctetsMax = 65536;

// Parses a whole policy file. Every error of the text, one line each, in the order of the lines: "name:line:column:
// what (did you mean ...)". InvalidArgument.
absl::StatusOr<Policy> ParsePolicy(absl::string_view name, absl::string_view text);

// Reads the file; refuses one that is writable by group or others, or owned by neither root nor the caller.
absl::StatusOr<Policy> LoadPolicy(const std::string& path);
// Reads a file that LoadPolicy() has taken in another process. For a role: one that was born into a user namespace
// cannot tell whose a file is.
absl::StatusOr<Policy> ReadCheckedPolicy(const std::string& path);

// One line for a person: "own net,mount,ipc,uts; empty root; no capabilities; no_new_privs; 31 system calls, worker
// 14". The first stage of the file goes without its name.
std::string Describe(const Policy& policy);

}  // namespace postern::sandbox

#endif  // POSTERN_SANDBOX_POLICY_H_
