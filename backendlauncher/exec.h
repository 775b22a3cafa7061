#ifndef POSTERN_BACKENDLAUNCHER_EXEC_H_
#define POSTERN_BACKENDLAUNCHER_EXEC_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backendlauncher/confine.h"

namespace postern::backendlauncher {

// What begin finds where: the numbers are an agreement between the launcher and begin alone.
inline constexpr int kCredentialsFd = 3;  // checkpassword's, which closes it
inline constexpr int kStatusFd = 4;       // SOCK_SEQPACKET to the launcher; passed to begin as an argument too
inline constexpr int kBeginFd = 5;        // begin itself

// Whom a program starts as. Where we cannot become anybody: ourselves.
struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary
};

struct CheckpasswordCommand {
  std::vector<std::string> checkpassword;  // program (an absolute path) and its arguments
  std::vector<std::string> backend;
  std::vector<std::string> environment;          // the whole of checkpassword's, "NAME=value"
  std::vector<std::string> backend_environment;  // added by begin: checkpassword may be root and must not see it
  Confinement confinement;                       // of the backend, applied by begin
  User user;                                     // of checkpassword
};

// All borrowed; the child gets copies.
struct CheckpasswordFds {
  int null;         // /dev/null: 0 and 1
  int log;          // 2: standard error of checkpassword and of the backend
  int credentials;  // a pipe: 3
  int status;
  int begin;
};

// Starts `CHECKPASSWORD /proc/self/fd/5 4 CONFINEMENT COUNT NAME=value... BACKEND...` as leader of a session of its own
// and subreaper of what it starts, with default signals. begin is named by descriptor, since the user may not be able
// to reach the directory that it is installed in. Unavailable: the system has no process for us. The exec itself
// failing is exit code 111 of the child.
absl::StatusOr<pid_t> StartCheckpassword(const CheckpasswordCommand& command, const CheckpasswordFds& fds);

struct BackendCommand {
  std::vector<std::string> backend;
  std::vector<std::string> environment;  // the whole of it
  Confinement confinement;
  User user;
};

struct BackendFds {
  int stream;  // 0 and 1
  int log;     // 2
  int status;  // SOCK_SEQPACKET to the launcher: end of file once the backend runs, ExecFailed if it cannot
};

// Starts a backend that does the login itself. The rest as above.
absl::StatusOr<pid_t> StartBackend(const BackendCommand& command, const BackendFds& fds);

}  // namespace postern::backendlauncher

#endif  // POSTERN_BACKENDLAUNCHER_EXEC_H_
