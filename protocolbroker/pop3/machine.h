#ifndef POSTERN_PROTOCOLBROKER_POP3_MACHINE_H_
#define POSTERN_PROTOCOLBROKER_POP3_MACHINE_H_

// POP3 in the AUTHORIZATION state, until the backend takes over: RFC 1939 §4, RFC 2449 (CAPA), RFC 2595 §4 (STLS),
// RFC 5034 (AUTH).
// A function from (state, line) to an answer and an act: it holds no descriptor, clock or log.

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "protocolbroker/ending.h"
#include "protocolbroker/sasl/exchange.h"

namespace postern::protocolbroker::pop3 {

inline constexpr size_t kCommandOctetsMax = 255;  // with its CRLF, RFC 2449 §4

enum class State {
  kGreeting,    // nothing said yet
  kPlain,       // clear text
  kAwaitTls,    // STLS was answered with +OK
  kSecured,     // inside TLS
  kSasl,        // a challenge of AUTH was sent: what comes next is its answer, whatever it looks like
  kAwaitLogin,  // PASS was given; what follows it on the wire is the backend's
  kClosed,
};

enum class Act {
  kNone,
  kStartTls,
  kLogin,         // with user() and password()
  kBackendLogin,  // the backend does it: after USER user(), if that is not empty, it gets login_line()
  kClose,
};

struct Step {
  State next;
  Act act;
  std::string reply;     // whole lines with CRLF, sent before the act; may be empty
  const char* why = "";  // of kClose, for the log
};

// How an attempt to log in ended.
enum class LoginAnswer { kRejected, kRejectedLast, kTemporary, kPenalized };

struct Settings {
  bool implicit_tls = false;  // TLS before the greeting; STLS is not offered
  bool allow_plaintext_login = false;
  bool backend_login = false;             // the backend does the login itself; so this machine is for clear text only
  std::vector<std::string> capabilities;  // of the backend, announced in both states (RFC 2449 §6)
};

class Machine {
 public:
  explicit Machine(Settings settings) : settings_(std::move(settings)) {}
  ~Machine();

  // The client is there. The banner carries no timestamp, so there is no APOP (RFC 1939 §7).
  Step OnConnect();
  // How many octets the next line may have, its CRLF included.
  size_t line_octets_max() const;
  // `line` has lost its line end and has at most line_octets_max() octets. `more_buffered`: the client has already sent
  // octets behind it.
  Step OnLine(absl::string_view line, Ending ending, bool more_buffered);
  // The handshake after kStartTls is done. No second greeting (RFC 2595 §4); what the client said before is forgotten.
  Step OnTls();
  // The attempt after kLogin did not succeed. When it did, the backend's own first line answers PASS.
  Step OnLoginFailed(LoginAnswer answer);

  State state() const { return state_; }
  const std::string& user() const { return user_; }
  const std::string& password() const { return password_; }
  const std::string& login_line() const { return login_line_; }
  // All that a login was tried with, once others have it.
  void Forget();
  // The lines of CAPA's answer for as long as a backend that does the login itself has the client.
  std::string BackendCapabilities() const;

 private:
  Step Stay(absl::string_view reply);
  Step Close(absl::string_view reply, const char* why);
  Step Become(State next, Act act, absl::string_view reply);
  Step OnCapa();
  Step OnStls(bool has_argument, bool more_buffered);
  Step OnUser(absl::string_view name);
  Step OnPass(absl::string_view password, absl::string_view line);
  Step OnAuth(absl::string_view argument, absl::string_view line);
  Step OnSasl(sasl::Result result);
  Step LogIn(absl::string_view user, absl::string_view password);
  Step LogInByBackend(absl::string_view line);
  std::string Coded(absl::string_view code, absl::string_view text) const;
  bool LoginAllowed() const { return state_ == State::kSecured || settings_.allow_plaintext_login; }

  const Settings settings_;
  State state_ = State::kGreeting;
  State before_login_ = State::kPlain;  // where a login that fails leads back to
  std::string user_, password_, login_line_;
  sasl::Exchange sasl_;
};

}  // namespace postern::protocolbroker::pop3

#endif  // POSTERN_PROTOCOLBROKER_POP3_MACHINE_H_
