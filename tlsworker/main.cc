// tlsworker: OpenSSL, alone. A zygote that has read the certificates forks one worker for each client; the worker does
// the handshake and the record layer between the client's socket and a plain socket, and can do nothing else.

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/rand.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "ipc/channel.h"
#include "role/role.h"
#include "role/zygote.h"
#include "tlsworker/certificates.h"
#include "tlsworker/context.h"
#include "tlsworker/relay.h"
#include "tlsworker/session.h"

namespace postern::tlsworker {
namespace {

using base::UniqueFd;
using ipc::Role;

struct Service {
  std::string protocol;  // as ALPN names it, RFC 7301's registry: "pop3", "imap"
  int certificate_count = 0;
  std::unique_ptr<Certificates> certificates;
};

struct Config {
  absl::Duration handshake, idle;
  int sessions = 0;
  std::vector<Service> services;
};

// What a worker was given for its one client.
struct Client {
  UniqueFd socket, plain, life;
  ipc::Channel<Role::kTlsWorker, Role::kProtocolBroker> reply;
};

absl::StatusOr<Config> ReadConfig(const role::Options& options) {
  Config config;
  for (const auto& option : options) {
    if (option.first == "service") {
      config.services.push_back({option.second, 0, std::make_unique<Certificates>(option.second)});
      continue;
    }
    ASSIGN_OR_RETURN(const int number, role::Number(option));
    if (option.first == "handshake-seconds") config.handshake = absl::Seconds(number);
    if (option.first == "idle-seconds") config.idle = absl::Seconds(number);
    if (option.first == "sessions") config.sessions = number;
    if (option.first == "certificates" && !config.services.empty()) config.services.back().certificate_count = number;
  }
  for (const Service& service : config.services)
    if (service.certificate_count == 0) return absl::InvalidArgumentError("--service without --certificates");
  return config;
}

// Certificates and keys, in the order of the services. With a `report` descriptor (postern check) what is wrong with
// one of them is written to it as "SERVICE CERTIFICATE MESSAGE", both counted from 0, and not returned.
absl::Status ReadCertificates(Config& config, base::InheritedFds& fds, const UniqueFd& report) {
  for (size_t i = 0; i < config.services.size(); ++i) {
    Service& service = config.services[i];
    for (int number = 0; number < service.certificate_count; ++number) {
      const absl::Status status = service.certificates->Add(number, fds.Take("certificate"), fds.Take("key"));
      if (status.ok()) continue;
      if (!report.valid()) return status;
      const std::string line = absl::StrCat(i, " ", number, " ", status.message(), "\n");
      if (write(report.get(), line.data(), line.size()) < 0) return absl::ErrnoToStatus(errno, "report");
    }
    RETURN_IF_ERROR(service.certificates->ChooseByName());
  }
  return absl::OkStatus();
}

// For the broker to reach the backend: the most that login_seconds may be, which is the broker's own limit. Its death
// shows at once, as the end of the reply line.
constexpr absl::Duration kResumeTime = absl::Hours(1);
constexpr int kResumesMax = 32;  // lines before the last one

// Where the policy of a worker expects them: only these two may be shut down. The control and log sockets are shared
// with the zygote and all workers.
constexpr int kClientFd = 20, kPlainFd = 21;

absl::StatusOr<UniqueFd> MoveTo(int number, UniqueFd fd) {
  if (dup3(fd.get(), number, O_CLOEXEC) != number) return absl::ErrnoToStatus(errno, "dup3");
  return UniqueFd(number);
}

// The broker's word, once it has reached the backend or has not. Adds the lines that the client is to be told.
absl::StatusOr<ipc::Next> AwaitResume(const Client& client, int control, std::string* lines) {
  const base::Deadline deadline = base::Deadline::In(kResumeTime);
  for (int i = 0; i < kResumesMax; ++i) {
    RETURN_IF_ERROR(role::Wait(client.reply.fd(), POLLIN, control, deadline));
    ASSIGN_OR_RETURN(const auto resume, client.reply.Receive<ipc::Resume>());
    if (resume.body.line.octets != 0) absl::StrAppend(lines, resume.body.line.view(), "\r\n");
    if (resume.body.next != ipc::Next::kLine) return resume.body.next;
  }
  return absl::InvalidArgumentError("too many lines");
}

// False: there is no backend, and the client knows.
bool ReachesBackend(SSL* ssl, const Client& client, int control) {
  std::string lines;
  const absl::StatusOr<ipc::Next> next = AwaitResume(client, control, &lines);
  if (next.ok() && *next == ipc::Next::kRelay && lines.empty()) return true;
  if (!next.ok()) base::Event("no_backend").AddText("error", next.status().message());
  SayAndClose(ssl, client.socket.get(), control, lines);
  return false;
}

absl::StatusOr<ipc::Next> Held(const Client& client, const absl::Status& asked, int control, std::string* lines) {
  RETURN_IF_ERROR(asked);
  RETURN_IF_ERROR(client.reply.Send(ipc::Held{}));
  return AwaitResume(client, control, lines);
}

// The broker wants the plain side to itself for a while.
Answer OnHold(const Client& client, int control, std::string* lines) {
  const absl::Status asked = client.reply.Receive<ipc::Hold>().status();
  if (absl::IsOutOfRange(asked)) return Answer::kNobody;
  if (absl::IsUnavailable(asked)) return Answer::kGoOn;
  const absl::StatusOr<ipc::Next> next = Held(client, asked, control, lines);
  if (!next.ok()) base::Event("no_backend").AddText("error", next.status().message());
  return next.ok() && *next == ipc::Next::kRelay ? Answer::kGoOn : Answer::kEnd;
}

absl::Status ServeClient(const Config& config, const Service& service, Client client, ipc::PlainSide plain_side,
                         int control) {
  // The fork has copied the state of the random generators: every worker would make the same keys (OpenSSL notices a
  // fork by getpid() alone, which a PID namespace defeats).
  if (RAND_poll() != 1) return absl::InternalError("cannot reseed");
  const absl::Duration started = base::Deadline::Now();
  ASSIGN_OR_RETURN(const SslPtr ssl, NewSession(service.certificates->context(), client.socket.get()));
  const absl::Status handshake =
      Handshake(ssl.get(), client.socket.get(), control, base::Deadline::In(config.handshake));
  if (!handshake.ok()) {
    base::Event("tls_failed").AddText("why", handshake.message());
    // The broker learns it by the end of the reply line, at once; a client in the middle of its words is let finish.
    client.reply.Close();
    client.plain.Reset();
    if (absl::IsInvalidArgument(handshake)) Linger(client.socket.get(), control);
    return absl::OkStatus();
  }
  // We have nothing to say now, and a client that follows Nagle holds its first command until our acknowledgement,
  // which the kernel would keep back for 40 ms.
  const int kOn = 1;
  setsockopt(client.socket.get(), IPPROTO_TCP, TCP_QUICKACK, &kOn, sizeof kOn);
  const ipc::TlsFacts facts = Facts(ssl.get());
  base::Event("tls")
      .Add("version", facts.version.view())
      .Add("cipher", facts.cipher.view())
      .Add("sni", facts.sni.view())
      .Add("ms", absl::ToInt64Milliseconds(base::Deadline::Now() - started));
  RETURN_IF_ERROR(client.reply.Send(ipc::TlsStarted{facts}));
  // The reply line stays open: whoever has its other end can see when we end.
  if (plain_side == ipc::PlainSide::kHold && !ReachesBackend(ssl.get(), client, control)) return absl::OkStatus();
  RelayOptions options = {.whole_lines = service.protocol == "pop3", .idle = config.idle};
  if (plain_side == ipc::PlainSide::kMayHold) {
    options.asked = client.reply.fd();
    options.on_asked = [&](std::string* lines) { return OnHold(client, control, lines); };
  }
  const Outcome outcome = Relay(ssl.get(), client.socket.get(), client.plain.get(), control, options);
  base::Event("tls_end").Add("in", outcome.from_client).Add("out", outcome.to_client).Add("why", Name(outcome.why));
  return absl::OkStatus();
}

absl::Status Run(int argc, char** argv) {
  ASSIGN_OR_RETURN(
      role::Start start,
      role::Begin(argc, argv, {"certificates", "handshake-seconds", "idle-seconds", "sessions", "service"}));
  ASSIGN_OR_RETURN(Config config, ReadConfig(start.options));
  const ipc::Channel<Role::kTlsWorker, Role::kSupervisor> supervisor(std::move(start.control));
  ipc::Channel<Role::kTlsWorker, Role::kProtocolBroker> broker(start.fds.Take("protocolbroker"));
  const UniqueFd report = start.fds.Take("report");
  RETURN_IF_ERROR(InitializeOpenSsl());
  RETURN_IF_ERROR(ReadCertificates(config, start.fds, report));
  RETURN_IF_ERROR(start.fds.Finished());
  if (report.valid()) return absl::OkStatus();

  ASSIGN_OR_RETURN(const sandbox::Seal worker_seal, sandbox::Seal::Prepare(start.policy, "worker"));
  ASSIGN_OR_RETURN(const sandbox::Seal zygote_seal, sandbox::Seal::Prepare(start.policy, "zygote"));
  ASSIGN_OR_RETURN(role::Zygote zygote, role::Zygote::Make(static_cast<size_t>(config.sessions)));
  RETURN_IF_ERROR(zygote_seal.Apply());
  RETURN_IF_ERROR(supervisor.Send(ipc::Ready{}));

  return zygote.Serve(supervisor.fd(), broker.fd(), [&]() -> absl::Status {
    auto incoming = broker.Receive<ipc::StartTls>();
    if (absl::IsUnavailable(incoming.status())) return absl::OkStatus();
    if (absl::IsOutOfRange(incoming.status()))
      return incoming.status();  // the edge is gone: only a new start mends that
    if (!incoming.ok() || incoming->body.service >= config.services.size()) {
      // Any of the broker's workers may have sent it, and one of them may be taken over: that must not end the others.
      base::Event("bad_request", 0).AddText("error", incoming.ok() ? "no such service" : incoming.status().message());
      return absl::OkStatus();
    }
    const ipc::StartTls& request = incoming->body;
    return zygote.Fork(request.session, [&]() -> absl::Status {
      Client client;
      ASSIGN_OR_RETURN(client.socket, MoveTo(kClientFd, std::move(incoming->fds[0])));
      ASSIGN_OR_RETURN(client.plain, MoveTo(kPlainFd, std::move(incoming->fds[1])));
      RETURN_IF_ERROR(worker_seal.Apply());
      broker.Close();
      base::SetTitle(absl::StrFormat("tlsworker: session %08x", request.session));
      client.reply = ipc::Channel<Role::kTlsWorker, Role::kProtocolBroker>(std::move(incoming->fds[2]));
      client.life = std::move(incoming->fds[3]);
      return ServeClient(config, config.services[request.service], std::move(client), request.plain_side,
                         supervisor.fd());
    });
  });
}

}  // namespace
}  // namespace postern::tlsworker

int main(int argc, char** argv) { return postern::base::Finish(postern::tlsworker::Run(argc, argv)); }
