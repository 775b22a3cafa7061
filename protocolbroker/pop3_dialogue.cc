#include "protocolbroker/pop3_dialogue.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/deadline.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "protocolbroker/line_io.h"
#include "role/role.h"

namespace postern::protocolbroker {
namespace {

using base::Deadline;
using base::UniqueFd;
using ipc::LoginOutcome;
using ipc::Role;
using pop3::Act;
using pop3::Step;

constexpr absl::Duration kHandshakeGrace = absl::Seconds(2);  // for the fork, beyond the tlsworker's own limit
constexpr size_t kCredentialsOctetsMax = 512;                 // checkpassword's interface; a pipe holds them all

// Descriptor 3 of checkpassword: login, password and a timestamp, each ended by NUL. The timestamp is for APOP, which
// is not offered; programs want the field all the same.
absl::StatusOr<UniqueFd> CredentialsPipe(const std::string& user, const std::string& password) {
  std::string octets = user + '\0' + password + '\0' + "none" + '\0';
  int ends[2];
  if (octets.size() > kCredentialsOctetsMax) return absl::InvalidArgumentError("credentials too long");
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
  UniqueFd reader(ends[0]), writer(ends[1]);
  const ssize_t written = write(writer.get(), octets.data(), octets.size());
  explicit_bzero(octets.data(), octets.size());
  if (written != static_cast<ssize_t>(octets.size())) return absl::ErrnoToStatus(errno, "write");
  return reader;
}

class Dialogue {
 public:
  Dialogue(const Listener& listener, const Limits& limits, Client client, const TlsChannel& tls, int control)
      : listener_(listener),
        limits_(limits),
        client_(std::move(client)),
        tls_(tls),
        control_(control),
        deadline_(Deadline::In(limits.login)),
        machine_(listener.pop3) {}

  // Ok: a backend has taken over, or `why` says why the session is over.
  absl::Status Serve() {
    if (listener_.pop3.implicit_tls) RETURN_IF_ERROR(StartTls());
    RETURN_IF_ERROR(Perform(machine_.OnConnect()));
    while (!handed_over_ && why_ == nullptr) {
      ASSIGN_OR_RETURN(Line line, ReadLine(client_.stream.get(), pop3::kLineOctetsMax, control_, deadline_));
      const Step step = machine_.OnLine(line.text, line.ending, MoreBuffered(client_.stream.get()));
      explicit_bzero(line.text.data(), line.text.size());
      RETURN_IF_ERROR(Perform(step));
    }
    return absl::OkStatus();
  }

  bool handed_over() const { return handed_over_; }
  const char* why() const { return why_; }

 private:
  absl::Status Perform(const Step& step) {
    RETURN_IF_ERROR(WriteAll(client_.stream.get(), step.reply, control_, deadline_));
    switch (step.act) {
      case Act::kNone:
        return absl::OkStatus();
      case Act::kStartTls:
        RETURN_IF_ERROR(StartTls());
        return Perform(machine_.OnTls());
      case Act::kLogin:
        return LogIn();
      case Act::kClose:
        why_ = step.why;
        DropBuffered(client_.stream.get());
        return absl::OkStatus();
    }
    return absl::InternalError("no such act");
  }

  // The client's socket goes to a tlsworker; what is left here is the plain side.
  absl::Status StartTls() {
    ASSIGN_OR_RETURN(auto plain, ipc::SocketPair(SOCK_STREAM));
    ASSIGN_OR_RETURN(auto reply, ipc::SocketPair(SOCK_SEQPACKET));
    const ipc::Channel<Role::kProtocolBroker, Role::kTlsWorker> answer(std::move(reply.first));
    RETURN_IF_ERROR(tls_.Send(ipc::StartTls{client_.session, listener_.service},
                              {client_.stream.get(), plain.first.get(), reply.second.get(), client_.life.get()}));
    reply.second.Reset();
    client_.stream = std::move(plain.second);
    RETURN_IF_ERROR(role::Wait(answer.fd(), POLLIN, control_,
                               std::min(deadline_, Deadline::In(limits_.handshake + kHandshakeGrace))));
    auto started = answer.Receive<ipc::TlsStarted>();
    if (absl::IsOutOfRange(started.status())) return absl::AbortedError("tls_failed");
    RETURN_IF_ERROR(started.status());
    facts_ = started->body.facts;
    return absl::OkStatus();
  }

  // Both phases (docs/processes.md). While they last the client's octets are left alone: they are the backend's.
  absl::Status LogIn() {
    auto outcome = TryLogIn();
    if (!outcome.ok() && !absl::IsUnavailable(outcome.status()) && !absl::IsOutOfRange(outcome.status()))
      return outcome.status();
    // The launcher has gone, or does not take what is sent: that is temporary.
    if (!outcome.ok()) base::Event("login_error").AddText("error", outcome.status().message());
    switch (outcome.value_or(LoginOutcome::kTemporary)) {
      case LoginOutcome::kAccepted:
        handed_over_ = true;
        return absl::OkStatus();
      case LoginOutcome::kRejected:
        return Perform(machine_.OnLoginFailed(pop3::LoginAnswer::kRejected));
      case LoginOutcome::kRejectedLast:
        return Perform(machine_.OnLoginFailed(pop3::LoginAnswer::kRejectedLast));
      case LoginOutcome::kTemporary:
        break;
    }
    return Perform(machine_.OnLoginFailed(pop3::LoginAnswer::kTemporary));
  }

  absl::StatusOr<LoginOutcome> TryLogIn() {
    {
      ASSIGN_OR_RETURN(const UniqueFd credentials, CredentialsPipe(machine_.user(), machine_.password()));
      RETURN_IF_ERROR(client_.line.Send(ipc::Login{facts_}, {credentials.get()}));
    }
    RETURN_IF_ERROR(role::Wait(client_.line.fd(), POLLIN, control_, deadline_));
    ASSIGN_OR_RETURN(const auto result, client_.line.Receive<ipc::LoginResult>());
    if (result.body.outcome != LoginOutcome::kAccepted) return result.body.outcome;

    // The stream is ours until the backend runs: if it cannot be started, we can still say so.
    RETURN_IF_ERROR(client_.line.Send(ipc::Stream{}, {client_.stream.get()}));
    RETURN_IF_ERROR(role::Wait(client_.line.fd(), POLLIN, control_, deadline_));
    ASSIGN_OR_RETURN(const auto started, client_.line.Receive<ipc::Started>());
    return started.body.error == 0 ? LoginOutcome::kAccepted : LoginOutcome::kTemporary;
  }

  const Listener& listener_;
  const Limits& limits_;
  Client client_;
  const TlsChannel& tls_;
  const int control_;
  const Deadline deadline_;
  pop3::Machine machine_;
  ipc::TlsFacts facts_;
  const char* why_ = nullptr;
  bool handed_over_ = false;
};

}  // namespace

absl::Status ServePop3(const Listener& listener, const Limits& limits, Client client, const TlsChannel& tls,
                       int control) {
  Dialogue dialogue(listener, limits, std::move(client), tls, control);
  const absl::Status status = dialogue.Serve();
  if (status.ok() && dialogue.handed_over()) return absl::OkStatus();
  base::Event event("dialogue_end");
  switch (status.code()) {
    case absl::StatusCode::kOk:
      event.Add("why", dialogue.why());
      break;
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnavailable:
      event.Add("why", "client_gone");
      break;
    case absl::StatusCode::kDeadlineExceeded:
      event.Add("why", "login_time");
      break;
    case absl::StatusCode::kCancelled:
      event.Add("why", "shutdown");
      break;
    case absl::StatusCode::kAborted:
      event.Add("why", status.message());
      break;
    default:
      event.Add("why", "error").AddText("error", status.message());
  }
  return absl::OkStatus();
}

}  // namespace postern::protocolbroker
