#include "protocolbroker/launch_line.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "role/role.h"

namespace postern::protocolbroker {
namespace {

using base::Deadline;
using base::UniqueFd;
using ipc::LoginOutcome;

constexpr size_t kCredentialsOctetsMax = 512;  // checkpassword's interface; a pipe holds them all

// Descriptor 3 of checkpassword: login, password and a timestamp, each ended by NUL. The timestamp is for APOP, which
// is not offered; programs want the field all the same.
absl::StatusOr<UniqueFd> CredentialsPipe(const std::string& user, const std::string& password) {
  std::string octets;
  octets.reserve(kCredentialsOctetsMax);  // so that no copy of it is left behind
  for (const absl::string_view field :
       {absl::string_view(user), absl::string_view(password), absl::string_view("none")})
    octets.append(field.data(), field.size()).push_back('\0');
  int ends[2];
  if (octets.size() > kCredentialsOctetsMax) return absl::InvalidArgumentError("credentials too long");
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
  UniqueFd reader(ends[0]), writer(ends[1]);
  const ssize_t written = write(writer.get(), octets.data(), octets.size());
  explicit_bzero(octets.data(), octets.size());
  if (written != static_cast<ssize_t>(octets.size())) return absl::ErrnoToStatus(errno, "write");
  return reader;
}

}  // namespace

absl::StatusOr<UniqueFd> LaunchLine::TakeBackendSocket(const Deadline& deadline) {
  RETURN_IF_ERROR(role::Wait(channel_.fd(), POLLIN, control_, deadline));
  ASSIGN_OR_RETURN(auto offered, channel_.Receive<ipc::BackendSocket>());
  return std::move(offered.fds[0]);
}

absl::StatusOr<LoginOutcome> LaunchLine::LogIn(const std::string& user, const std::string& password,
                                               absl::string_view tag, const ipc::TlsFacts& facts,
                                               const UniqueFd& stream, const Deadline& deadline) {
  {
    ASSIGN_OR_RETURN(const UniqueFd credentials, CredentialsPipe(user, password));
    RETURN_IF_ERROR(channel_.Send(ipc::Login{facts}, {credentials.get()}));
  }
  RETURN_IF_ERROR(role::Wait(channel_.fd(), POLLIN, control_, deadline));
  ASSIGN_OR_RETURN(const auto result, channel_.Receive<ipc::LoginResult>());
  if (result.body.outcome != LoginOutcome::kAccepted) return result.body.outcome;
  RETURN_IF_ERROR(channel_.Send(ipc::Stream{decltype(ipc::Stream::tag)::From(tag)}, {stream.get()}));
  ASSIGN_OR_RETURN(const int error, AwaitStarted(deadline));
  return error == 0 ? LoginOutcome::kAccepted : LoginOutcome::kTemporary;
}

absl::StatusOr<int> LaunchLine::StartBackend(const ipc::TlsFacts& facts, const UniqueFd& stream,
                                             const Deadline& deadline) {
  RETURN_IF_ERROR(channel_.Send(ipc::Launch{facts}, {stream.get()}));
  return AwaitStarted(deadline);
}

absl::StatusOr<int> LaunchLine::Connect(const ipc::TlsFacts& facts, const Deadline& deadline) {
  RETURN_IF_ERROR(channel_.Send(ipc::Connect{facts}));
  return AwaitStarted(deadline);
}

absl::StatusOr<int> LaunchLine::AwaitStarted(const Deadline& deadline) {
  RETURN_IF_ERROR(role::Wait(channel_.fd(), POLLIN, control_, deadline));
  ASSIGN_OR_RETURN(const auto started, channel_.Receive<ipc::Started>());
  return started.body.error;
}

void LaunchLine::Tether(int tether) {
  // A launcher that has gone has taken the backend with it.
  (void)channel_.Send(ipc::Tether{}, {tether});
  channel_.Close();
}

}  // namespace postern::protocolbroker
