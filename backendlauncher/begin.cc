// begin: what checkpassword execs once the login is good, as the user. It tells the launcher so, waits for the stream
// that the client is behind, makes it descriptors 0 and 1, and execs the backend.
//
//   begin STATUS-FD CONFINEMENT COUNT [NAME=VALUE...] BACKEND [ARGUMENTS...]
//
// Descriptors: 0, 1 /dev/null; 2 standard error; STATUS-FD the launcher. Statically linked, so that it starts fast and
// needs nothing of the user's file system. Exits 111 when it cannot begin; the launcher tells the client.

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "backendlauncher/confine.h"
#include "base/process.h"
#include "ipc/channel.h"

namespace postern::backendlauncher {
namespace {

using ipc::Role;
using Launcher = ipc::Channel<Role::kBegin, Role::kBackendLauncher>;

constexpr int kStreamMillis = 20000;  // the launcher's own limit is shorter; this one is for a launcher that hangs

// The launcher's end of file would mean "running": on any failure it gets the reason instead.
[[noreturn]] void Fail(const Launcher& launcher, int error) {
  (void)launcher.Send(ipc::ExecFailed{error == 0 ? EIO : error});
  _exit(base::kExitTemporary);
}

// qmail's and courier's programs want this from whoever authenticated; virtual users have no other name. IMAP servers
// answer the login with the tag it had, courier's and Dovecot's if it is in their environment.
void SetAuthenticated(absl::string_view tag) {
  if (!tag.empty()) setenv("IMAPLOGINTAG", std::string(tag).c_str(), 1);
  const char* user = getenv("USER");
  if (user == nullptr) return;
  setenv("AUTHENTICATED", user, 1);
  setenv("AUTHADDR", user, 1);
}

int Main(int argc, char** argv) {
  if (argc < 5) return base::kExitConfiguration;
  const absl::StatusOr<Confinement> confinement = FromWord(argv[2]);
  if (!confinement.ok()) return base::kExitConfiguration;
  const int settings = atoi(argv[3]);
  if (settings < 0 || settings > argc - 5) return base::kExitConfiguration;
  char** const command = argv + 4 + settings;
  const int status_fd = atoi(argv[1]);
  if (status_fd < 3 || fcntl(status_fd, F_SETFD, FD_CLOEXEC) != 0) return base::kExitConfiguration;
  const Launcher launcher{base::UniqueFd(status_fd)};
  // Nothing else was meant for the backend: our own file, and whatever checkpassword left open.
  close_range(3, static_cast<unsigned>(status_fd) - 1, 0);
  close_range(static_cast<unsigned>(status_fd) + 1, ~0U, 0);

  // A checkpassword that accepted but did not become a user: no backend runs as root.
  const char* user = getenv("USER");
  const int32_t error = getuid() == 0 || geteuid() == 0 ? EPERM : 0;
  if (!launcher.Send(ipc::Authenticated{error, 0, ipc::Text<254>::From(user == nullptr ? "" : user)}).ok() ||
      error != 0)
    return base::kExitTemporary;
  pollfd wait = {launcher.fd(), POLLIN, 0};
  if (poll(&wait, 1, kStreamMillis) <= 0) Fail(launcher, ETIMEDOUT);
  auto incoming = launcher.Receive<ipc::Stream>();
  if (!incoming.ok()) Fail(launcher, EPROTO);

  const int stream = incoming->fds[0].get();
  if (dup2(stream, STDIN_FILENO) < 0 || dup2(stream, STDOUT_FILENO) < 0) Fail(launcher, errno);
  incoming->fds[0].Reset();
  SetAuthenticated(incoming->body.tag.view());
  for (int i = 0; i < settings; ++i) putenv(argv[4 + i]);
  if (const int refused = Confine(*confinement); refused != 0) Fail(launcher, refused);
  execv(command[0], command);
  Fail(launcher, errno);
}

}  // namespace
}  // namespace postern::backendlauncher

int main(int argc, char** argv) { return postern::backendlauncher::Main(argc, argv); }
