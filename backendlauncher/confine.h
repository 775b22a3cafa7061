#ifndef POSTERN_BACKENDLAUNCHER_CONFINE_H_
#define POSTERN_BACKENDLAUNCHER_CONFINE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace postern::backendlauncher {

// What a backend is held to, besides its user. kInherited: as postern itself was started.
struct Confinement {
  static constexpr int64_t kInherited = -1;

  bool no_new_privs = true;
  int64_t memory_octets = kInherited;  // RLIMIT_AS and RLIMIT_DATA
  int64_t open_files = kInherited;     // RLIMIT_NOFILE
  int64_t processes = kInherited;      // RLIMIT_NPROC: of its user, whoever started them
  int64_t cpu_seconds = kInherited;    // RLIMIT_CPU, of each process
  int64_t file_octets = kInherited;    // RLIMIT_FSIZE
  int64_t nice = 0;                    // added to postern's own
};

// One word of an argument list, from the launcher to begin, and back.
std::string ToWord(const Confinement& confinement);
absl::StatusOr<Confinement> FromWord(absl::string_view word);

// For the moment before exec, in a process that has its user already: default signals, umask 077, no core, the limits,
// no_new_privs. 0 or the errno of what failed. Allocates nothing.
int Confine(const Confinement& confinement);

}  // namespace postern::backendlauncher

#endif  // POSTERN_BACKENDLAUNCHER_CONFINE_H_
