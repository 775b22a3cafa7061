// protocolbroker: speaks the mail protocol in clear text, up to TLS and, inside TLS, up to login. A zygote forks one
// worker for each session; the zygote itself never reads an octet that a client sent. Linked to no TLS library.

#include <sys/socket.h>

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "ipc/channel.h"
#include "protocolbroker/ask.h"
#include "protocolbroker/dialogue.h"
#include "role/role.h"
#include "role/zygote.h"

namespace postern::protocolbroker {
namespace {

using ipc::Role;

// For all backends together to say what they can do. courier's imapd without gam_server takes 1.2 s to greet.
constexpr absl::Duration kAskTime = absl::Seconds(5);

struct Config {
  Limits limits;
  int sessions = 0;
  std::vector<Listener> listeners;
  std::vector<Question> questions;  // in the order of the descriptors `backend`
};

absl::Status ReadQuestionOption(const std::pair<std::string, std::string>& option, std::vector<Question>* questions) {
  if (option.first == "ask") {
    ASSIGN_OR_RETURN(const int service, role::Number(option));
    questions->emplace_back();
    questions->back().number = static_cast<uint32_t>(service);
  } else if (questions->empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--", option.first, " before --ask"));
  } else if (option.first == "service") {
    questions->back().service = option.second;
  } else {
    questions->back().first = absl::HexStringToBytes(option.second);
  }
  return absl::OkStatus();
}

absl::StatusOr<Config> ReadConfig(const role::Options& options) {
  Config config;
  for (const auto& option : options) {
    const std::string& name = option.first;
    if (name == "login-seconds" || name == "handshake-seconds" || name == "idle-seconds" || name == "sessions") {
      ASSIGN_OR_RETURN(const int number, role::Number(option));
      if (name == "sessions") config.sessions = number;
      if (name == "login-seconds") config.limits.login = absl::Seconds(number);
      if (name == "handshake-seconds") config.limits.handshake = absl::Seconds(number);
      if (name == "idle-seconds") config.limits.idle = absl::Seconds(number);
    } else if (name == "ask" || name == "service" || name == "first") {
      RETURN_IF_ERROR(ReadQuestionOption(option, &config.questions));
    } else if (name == "listener") {
      ASSIGN_OR_RETURN(const int service, role::Number(option));
      config.listeners.emplace_back();
      config.listeners.back().service = static_cast<uint32_t>(service);
    } else if (config.listeners.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, " before --listener"));
    } else if (name == "login") {
      Listener& listener = config.listeners.back();
      if (option.second == "backend") listener.login = Login::kBackend;
      if (option.second == "connect") listener.login = Login::kConnect;
      listener.settings.backend_login = listener.login != Login::kCheckpassword;
    } else if (name == "protocol") {
      if (option.second == "imap") config.listeners.back().protocol = Protocol::kImap;
    } else if (name == "greeting") {
      config.listeners.back().preauth_greeting = option.second == "preauth";
    } else if (name == "tls") {
      config.listeners.back().settings.implicit_tls = option.second == "implicit";
    } else if (name == "plaintext") {
      config.listeners.back().settings.allow_plaintext_login = option.second == "allow";
    } else if (name == "capability") {
      config.listeners.back().settings.capabilities.push_back(option.second);
    }
  }
  // An administrator who says what a backend can do says that it does not do so itself.
  for (Listener& listener : config.listeners)
    listener.answers_capa = listener.protocol == Protocol::kPop3 && !listener.settings.capabilities.empty();
  for (Question& question : config.questions)
    for (const Listener& listener : config.listeners)
      if (listener.service == question.number) {
        question.protocol = listener.protocol;
        question.backend_login = listener.settings.backend_login;
      }
  return config;
}

absl::Status TakeBackends(base::InheritedFds* fds, std::vector<Question>* questions) {
  for (Question& question : *questions) {
    question.backend = fds->Take("backend");
    if (!question.backend.valid()) return absl::InvalidArgumentError("fewer descriptors named backend than --ask");
  }
  return absl::OkStatus();
}

// What the backends say holds until a broker is started anew.
void LearnCapabilities(Config* config, const sandbox::Seal& seal, const std::vector<int>& others, int control) {
  std::vector<uint32_t> services;
  for (const Question& question : config->questions) services.push_back(question.number);
  const auto answers = Ask(std::move(config->questions), seal, others, control, kAskTime);
  for (size_t i = 0; i < services.size(); ++i)
    for (Listener& listener : config->listeners)
      if (listener.service == services[i]) listener.settings.capabilities = answers[i];
}

absl::Status Run(int argc, char** argv) {
  ASSIGN_OR_RETURN(role::Start start, role::Begin(argc, argv,
                                                  {"login-seconds", "handshake-seconds", "idle-seconds", "sessions",
                                                   "ask", "service", "first", "listener", "protocol", "login",
                                                   "greeting", "tls", "plaintext", "capability"}));
  ASSIGN_OR_RETURN(Config config, ReadConfig(start.options));
  const ipc::Channel<Role::kProtocolBroker, Role::kSupervisor> supervisor(std::move(start.control));
  ipc::Channel<Role::kProtocolBroker, Role::kAcceptor> acceptor(start.fds.Take("acceptor"));
  const TlsChannel tls(start.fds.Take("tlsworker"));
  RETURN_IF_ERROR(TakeBackends(&start.fds, &config.questions));
  RETURN_IF_ERROR(start.fds.Finished());

  ASSIGN_OR_RETURN(const sandbox::Seal worker_seal, sandbox::Seal::Prepare(start.policy, "worker"));
  ASSIGN_OR_RETURN(const sandbox::Seal zygote_seal, sandbox::Seal::Prepare(start.policy, "zygote"));
  ASSIGN_OR_RETURN(role::Zygote zygote, role::Zygote::Make(static_cast<size_t>(config.sessions)));
  RETURN_IF_ERROR(zygote_seal.Apply());
  LearnCapabilities(&config, worker_seal, {acceptor.fd(), tls.fd()}, supervisor.fd());
  RETURN_IF_ERROR(supervisor.Send(ipc::Ready{}));

  return zygote.Serve(supervisor.fd(), acceptor.fd(), [&]() -> absl::Status {
    auto incoming = acceptor.Receive<ipc::Session>();
    if (absl::IsUnavailable(incoming.status())) return absl::OkStatus();
    if (absl::IsOutOfRange(incoming.status())) return incoming.status();
    if (!incoming.ok() || incoming->body.listener >= config.listeners.size()) {
      base::Event("bad_request").AddText("error", incoming.ok() ? "no such listener" : incoming.status().message());
      return absl::OkStatus();
    }
    const ipc::Session& session = incoming->body;
    return zygote.Fork(session.session, [&]() -> absl::Status {
      const Listener& listener = config.listeners[session.listener];
      Client client = {session.session, std::move(incoming->fds[0]), std::move(incoming->fds[1]),
                       LaunchLine(std::move(incoming->fds[2]), supervisor.fd()), base::UniqueFd()};
      // Before sealing, and before the first octet from the client: a sealed worker can receive no descriptor.
      if (listener.login == Login::kConnect) {
        const auto deadline = base::Deadline::In(config.limits.login);
        ASSIGN_OR_RETURN(client.backend_socket, client.line.TakeBackendSocket(deadline));
      }
      RETURN_IF_ERROR(worker_seal.Apply());
      acceptor.Close();
      base::SetTitle(absl::StrFormat("protocolbroker: session %08x", session.session));
      return Serve(listener, config.limits, std::move(client), tls, supervisor.fd());
    });
  });
}

}  // namespace
}  // namespace postern::protocolbroker

int main(int argc, char** argv) { return postern::base::Finish(postern::protocolbroker::Run(argc, argv)); }
