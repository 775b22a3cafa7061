#include "protocolbroker/dialogue.h"

#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "protocolbroker/imap/greeting.h"
#include "protocolbroker/imap/login_watch.h"
#include "protocolbroker/imap/machine.h"
#include "protocolbroker/line_io.h"
#include "protocolbroker/octet_relay.h"
#include "protocolbroker/pop3/machine.h"
#include "protocolbroker/pop3/passthrough.h"
#include "protocolbroker/pop3_relay.h"

namespace postern::protocolbroker {
namespace {

using base::Deadline;
using base::UniqueFd;
using ipc::LoginOutcome;

constexpr absl::Duration kHandshakeGrace = absl::Seconds(2);  // for the fork, beyond the tlsworker's own limit
constexpr int kGreetingLinesMax = 16;
constexpr size_t kBackendLineOctetsMax = 8192;  // a greeting of IMAP may list all capabilities

// What travels to other roles would be cut if it did not fit.
static_assert(sizeof(ipc::Stream{}.tag.data) >= imap::kTagOctetsMax);
static_assert(sizeof(ipc::Resume{}.line.data) >= imap::kReplyOctetsMax);

std::unique_ptr<Machine> MakeMachine(const Listener& listener) {
  if (listener.protocol == Protocol::kImap) return std::make_unique<imap::Machine>(listener.settings);
  return std::make_unique<pop3::Machine>(listener.settings);
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
        machine_(MakeMachine(listener)) {}

  // Ok: a backend has taken over, or `why` says why the session is over.
  absl::Status Serve() {
    if (listener_.settings.implicit_tls) RETURN_IF_ERROR(StartTls(false));
    if (!Over()) RETURN_IF_ERROR(Perform(machine_->OnConnect()));
    while (!Over()) {
      ASSIGN_OR_RETURN(const Step step, TakeInput());
      RETURN_IF_ERROR(Perform(step));
    }
    return absl::OkStatus();
  }

  bool handed_over() const { return handed_over_; }
  const char* why() const { return why_; }

 private:
  // What the machine makes of what the client sends next.
  absl::StatusOr<Step> TakeInput() {
    const int stream = client_.stream.get();
    const Input input = machine_->input();
    if (input.kind == Input::Kind::kDropped) {
      RETURN_IF_ERROR(Drop(stream, input.octets, control_, deadline_, partner()));
      return machine_->OnLiteral("");
    }
    if (input.kind == Input::Kind::kLiteral) {
      ASSIGN_OR_RETURN(std::string octets, ReadOctets(stream, input.octets, control_, deadline_, partner()));
      Step step = machine_->OnLiteral(octets);
      explicit_bzero(octets.data(), octets.size());
      return step;
    }
    ASSIGN_OR_RETURN(Line line, ReadLine(stream, input.octets, control_, deadline_, partner()));
    Step step = machine_->OnLine(line.text, line.ending, MoreBuffered(stream));
    explicit_bzero(line.text.data(), line.text.size());
    return step;
  }

  absl::Status Perform(const Step& step) {
    RETURN_IF_ERROR(WriteAll(client_.stream.get(), step.reply, control_, deadline_, partner()));
    switch (step.act) {
      case Act::kNone:
        return absl::OkStatus();
      case Act::kStartTls:
        RETURN_IF_ERROR(StartTls(true));
        return Over() ? absl::OkStatus() : Perform(machine_->OnTls());
      case Act::kLogin:
        return LogIn();
      case Act::kBackendLogin:
        return RelayBackend();
      case Act::kClose:
        why_ = step.why;
        DropBuffered(client_.stream.get());
        return absl::OkStatus();
    }
    return absl::InternalError("no such act");
  }

  bool Over() const { return handed_over_ || why_ != nullptr; }

  // The client's socket goes to a tlsworker; what is left here is the plain side or, with login by the backend,
  // nothing.
  absl::Status StartTls(bool greeted) {
    const Deadline deadline = std::min(deadline_, Deadline::In(limits_.handshake + kHandshakeGrace));
    // A backend that answers CAPA itself has the client from here on. For another one we speak on until the login.
    const bool hold = listener_.login != Login::kCheckpassword && !listener_.answers_capa;
    ASSIGN_OR_RETURN(BackendEnds ends, hold ? MakeBackendEnds() : MakePair());
    const ipc::PlainSide plain_side = hold                         ? ipc::PlainSide::kHold
                                      : listener_.preauth_greeting ? ipc::PlainSide::kMayHold
                                                                   : ipc::PlainSide::kRelay;
    ASSIGN_OR_RETURN(TlsSide tls,
                     TlsSide::Start(tls_, {client_.session, listener_.service, plain_side}, client_.stream.get(),
                                    ends.ours.get(), client_.life.get(), control_, deadline));
    client_.stream.Reset();
    if (hold) return JoinBackend(ends, std::move(tls), greeted);
    client_.stream = std::move(ends.theirs);
    if (listener_.preauth_greeting) plain_side_ = std::move(ends.ours);
    tls_side_ = std::move(tls);
    return absl::OkStatus();
  }

  // A stream whose one end is the backend's to be: a pair, or a socket that the launcher will connect.
  struct BackendEnds {
    UniqueFd ours;    // from here the backend is heard
    UniqueFd theirs;  // none of kConnect
  };
  absl::StatusOr<BackendEnds> MakeBackendEnds() {
    if (listener_.login == Login::kConnect) return BackendEnds{std::move(client_.backend_socket), UniqueFd()};
    return MakePair();
  }
  static absl::StatusOr<BackendEnds> MakePair() {
    ASSIGN_OR_RETURN(auto pair, ipc::SocketPair(SOCK_STREAM));
    return BackendEnds{std::move(pair.first), std::move(pair.second)};
  }

  // "" once the backend is there and has said that it is willing; else the line that the client is to be told. With
  // `greeted` its greeting is taken off, as the client has had one.
  absl::StatusOr<std::string> ReachBackend(BackendEnds& ends, const ipc::TlsFacts& facts, bool greeted) {
    const auto error = listener_.login == Login::kConnect ? client_.line.Connect(facts, deadline_)
                                                          : client_.line.StartBackend(facts, ends.theirs, deadline_);
    ends.theirs.Reset();
    if (absl::IsCancelled(error.status())) return error.status();
    if (!error.ok()) base::Event("login_error").AddText("error", error.status().message());
    if (error.value_or(1) != 0) return machine_->Refusal("");
    return greeted ? TakeConsent(ends.ours) : std::string();
  }

  // A line of the backend's. "" if it is willing; else the line that the client is to be told.
  absl::StatusOr<std::string> TakeConsent(const UniqueFd& backend) {
    ASSIGN_OR_RETURN(const std::string line, TakeBackendLine(backend));
    return machine_->Refusal(line);
  }

  // "" where there is none, or none that ends: the rest of it would come to the client as if it had been said to him.
  absl::StatusOr<std::string> TakeBackendLine(const UniqueFd& backend) {
    absl::StatusOr<Line> line = ReadLine(backend.get(), kBackendLineOctetsMax, control_, deadline_);
    if (absl::IsCancelled(line.status())) return line.status();
    return line.ok() && line->ending != Ending::kTooLong ? std::move(line->text) : std::string();
  }

  // For a session that we stay in: hangs up when we end, and the launcher knows that the backend has no client any
  // more.
  absl::StatusOr<UniqueFd> MakeTether() {
    ASSIGN_OR_RETURN(auto pair, ipc::SocketPair(SOCK_SEQPACKET));
    client_.line.Tether(pair.second.get());
    return std::move(pair.first);
  }

  // Inside TLS the backend speaks with the client itself, through the tlsworker.
  absl::Status JoinBackend(BackendEnds& ends, TlsSide tls, bool greeted) {
    ASSIGN_OR_RETURN(const std::string refusal, ReachBackend(ends, tls.facts(), greeted));
    RETURN_IF_ERROR(tls.Resume(refusal, refusal.empty() ? ipc::Next::kRelay : ipc::Next::kEnd));
    if (!refusal.empty()) {
      why_ = "backend";
      return absl::OkStatus();
    }
    handed_over_ = true;
    if (listener_.login == Login::kBackend) client_.line.Tether(tls.reply_line());
    return absl::OkStatus();
  }

  // In clear text, and for a POP3 backend that knows no CAPA, we stay between the two until the end.
  absl::Status RelayBackend() {
    ASSIGN_OR_RETURN(BackendEnds ends, MakeBackendEnds());
    ASSIGN_OR_RETURN(const std::string refusal, ReachBackend(ends, facts(), true));
    if (!refusal.empty()) return CloseWith(refusal, "backend");
    UniqueFd tether;
    if (listener_.login == Login::kBackend) {
      ASSIGN_OR_RETURN(tether, MakeTether());
    }
    RETURN_IF_ERROR(listener_.protocol == Protocol::kPop3 ? RelayPop3Login(ends.ours) : RelayImapLogin(ends.ours));
    if (Over()) return absl::OkStatus();
    why_ = "backend_closed";
    DropBuffered(client_.stream.get());
    return absl::OkStatus();
  }

  absl::Status RelayPop3Login(const UniqueFd& backend) {
    // The client has had its answer to USER.
    if (!machine_->user().empty()) {
      const absl::Status said =
          WriteAll(backend.get(), absl::StrCat("USER ", machine_->user(), "\r\n"), control_, deadline_);
      if (absl::IsCancelled(said)) return said;
      // A backend that takes no more may have said why.
      ASSIGN_OR_RETURN(const std::string refused, TakeConsent(backend));
      if (!refused.empty()) return CloseWith(refused, "backend");
    }
    const auto& machine = static_cast<const pop3::Machine&>(*machine_);
    pop3::Passthrough passthrough(listener_.answers_capa ? machine.BackendCapabilities() : "");
    std::string login_line = machine_->login_line();
    machine_->Forget();  // we stay for the whole session, and a password would
    const absl::Status status =
        RelayPop3({client_.stream.get(), backend.get(), control_}, passthrough, login_line, deadline_, limits_.idle);
    if (absl::IsInvalidArgument(status)) return absl::AbortedError(status.message());
    return IdleOr(status, passthrough.logged_in());
  }

  // The whole dialogue from the login on, as the backend asks for literals and SASL's answers itself.
  absl::Status RelayImapLogin(const UniqueFd& backend) {
    imap::LoginWatch watch;
    std::string line = absl::StrCat(machine_->login_line(), "\r\n");
    machine_->Forget();
    const absl::Status said = WriteAll(backend.get(), line, control_, deadline_);
    watch.OnClient(line);
    explicit_bzero(line.data(), line.size());
    if (absl::IsCancelled(said)) return said;
    return IdleOr(RelayOctets(client_.stream.get(), backend.get(), control_, watch, deadline_, limits_.idle),
                  watch.logged_in());
  }

  // After the login it is not the time for the login that is over.
  static absl::Status IdleOr(const absl::Status& status, bool logged_in) {
    return absl::IsDeadlineExceeded(status) && logged_in ? absl::AbortedError("idle") : status;
  }

  absl::Status CloseWith(absl::string_view line, const char* why) {
    RETURN_IF_ERROR(WriteAll(client_.stream.get(), absl::StrCat(line, "\r\n"), control_, deadline_));
    why_ = why;
    DropBuffered(client_.stream.get());
    return absl::OkStatus();
  }

  // While it lasts the client's octets are left alone: they are the backend's.
  absl::Status LogIn() {
    // Of a program that greets instead of answering: nothing of it may reach the client unseen.
    const bool preauth = listener_.preauth_greeting;
    BackendEnds ends;
    if (preauth && tls_side_.has_value()) {
      RETURN_IF_ERROR(tls_side_->Hold(control_, deadline_));
    } else if (preauth) {
      ASSIGN_OR_RETURN(ends, MakePair());
    }
    auto outcome = client_.line.LogIn(machine_->user(), machine_->password(), preauth ? "" : machine_->login_tag(),
                                      facts(), ends.theirs.valid() ? ends.theirs : client_.stream, deadline_);
    ends.theirs.Reset();
    if (!outcome.ok() && !absl::IsUnavailable(outcome.status()) && !absl::IsOutOfRange(outcome.status()))
      return outcome.status();
    // The launcher has gone, or does not take what is sent: that is temporary.
    if (!outcome.ok()) base::Event("login_error").AddText("error", outcome.status().message());
    if (outcome.value_or(LoginOutcome::kTemporary) == LoginOutcome::kAccepted) {
      if (preauth) return tls_side_.has_value() ? AnswerInsideTls() : AnswerInClearText(ends.ours);
      return HandOver();
    }
    if (preauth && tls_side_.has_value()) RETURN_IF_ERROR(tls_side_->Resume("", ipc::Next::kRelay));
    return Perform(machine_->OnLoginFailed(Answer(outcome.value_or(LoginOutcome::kTemporary))));
  }

  static LoginAnswer Answer(LoginOutcome outcome) {
    switch (outcome) {
      case LoginOutcome::kRejected:
        return LoginAnswer::kRejected;
      case LoginOutcome::kRejectedLast:
        return LoginAnswer::kRejectedLast;
      case LoginOutcome::kPenalized:
        return LoginAnswer::kPenalized;
      default:
        return LoginAnswer::kTemporary;
    }
  }

  absl::Status HandOver() {
    // In clear text nobody of ours stays whose end could be watched.
    if (tls_side_.has_value()) client_.line.Tether(tls_side_->reply_line());
    handed_over_ = true;
    return absl::OkStatus();
  }

  // Takes what the backend says up to its greeting, each line with what that makes of the session.
  template <typename Say>
  absl::StatusOr<imap::Greeting> TakeGreeting(const UniqueFd& backend, Say say) {
    const std::string tag(machine_->login_tag());
    machine_->Forget();
    imap::Greeting greeting = imap::Greeting::kMore;
    for (int lines = 1; greeting == imap::Greeting::kMore; ++lines) {
      ASSIGN_OR_RETURN(const std::string line, TakeBackendLine(backend));
      std::string reply;
      greeting = imap::ReadGreeting(lines < kGreetingLinesMax ? line : "", tag, &reply);
      RETURN_IF_ERROR(say(reply, greeting));
    }
    why_ = greeting == imap::Greeting::kRefused ? "backend" : nullptr;
    return greeting;
  }

  // The tlsworker leaves the plain side to us until the greeting has passed. Then we go.
  absl::Status AnswerInsideTls() {
    // The backend's end: as long as it is open here too, no end of file tells that the backend has ended.
    client_.stream.Reset();
    const auto say = [this](absl::string_view line, imap::Greeting greeting) {
      return tls_side_->Resume(line, greeting == imap::Greeting::kMore    ? ipc::Next::kLine
                                     : greeting == imap::Greeting::kReady ? ipc::Next::kRelay
                                                                          : ipc::Next::kEnd);
    };
    RETURN_IF_ERROR(TakeGreeting(plain_side_, say).status());
    return Over() ? absl::OkStatus() : HandOver();
  }

  // In clear text there is nobody else between the two, so we stay until the end.
  absl::Status AnswerInClearText(const UniqueFd& backend) {
    const auto say = [this](absl::string_view line, imap::Greeting) {
      return WriteAll(client_.stream.get(), absl::StrCat(line, "\r\n"), control_, deadline_);
    };
    ASSIGN_OR_RETURN(const UniqueFd tether, MakeTether());
    RETURN_IF_ERROR(TakeGreeting(backend, say).status());
    if (!Over()) {
      imap::LoggedIn watch;
      RETURN_IF_ERROR(
          IdleOr(RelayOctets(client_.stream.get(), backend.get(), control_, watch, deadline_, limits_.idle), true));
      why_ = "backend_closed";
    }
    DropBuffered(client_.stream.get());
    return absl::OkStatus();
  }

  // Where we have both ends of the client's stream, only this tells that the tlsworker has gone.
  int partner() const { return plain_side_.valid() ? tls_side_->reply_line() : -1; }

  ipc::TlsFacts facts() const { return tls_side_.has_value() ? tls_side_->facts() : ipc::TlsFacts(); }

  const Listener& listener_;
  const Limits& limits_;
  Client client_;
  const TlsChannel& tls_;
  const int control_;
  const Deadline deadline_;
  const std::unique_ptr<Machine> machine_;
  std::optional<TlsSide> tls_side_;  // none in clear text
  UniqueFd plain_side_;              // the tlsworker's end too, to take a greeting from
  const char* why_ = nullptr;
  bool handed_over_ = false;
};

}  // namespace

absl::Status Serve(const Listener& listener, const Limits& limits, Client client, const TlsChannel& tls, int control) {
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
