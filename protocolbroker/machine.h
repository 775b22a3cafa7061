#ifndef POSTERN_PROTOCOLBROKER_MACHINE_H_
#define POSTERN_PROTOCOLBROKER_MACHINE_H_

// What the machines of all mail protocols have in common. A machine is a function from (state, what the client sent) to
// an answer and an act: it holds no descriptor, clock or log. dialogue.h is the frame that carries it.

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "protocolbroker/ending.h"
#include "protocolbroker/sasl/exchange.h"

namespace postern::protocolbroker {

enum class State {
  kGreeting,    // nothing said yet
  kPlain,       // clear text
  kAwaitTls,    // STLS or STARTTLS was answered with yes
  kSecured,     // inside TLS
  kSasl,        // a challenge was sent: what comes next is its answer, whatever it looks like
  kAwaitLogin,  // a login was given; what follows it on the wire is the backend's
  kClosed,
};

enum class Act {
  kNone,
  kStartTls,
  kLogin,         // with user() and password()
  kBackendLogin,  // the backend does it: after user(), if that is not empty, it gets login_line()
  kClose,
};

struct Step {
  State next;
  Act act;
  std::string reply;     // whole lines with CRLF, sent before the act; may be empty
  const char* why = "";  // of kClose, for the log
};

// What the machine takes next.
struct Input {
  enum class Kind {
    kLine,     // a line of at most so many octets, its CRLF included
    kLiteral,  // exactly so many octets (IMAP)
    kDropped,  // the same, but nobody looks at them: they need not be kept
  };
  Kind kind = Kind::kLine;
  size_t octets;
};

// How an attempt to log in ended.
enum class LoginAnswer { kRejected, kRejectedLast, kTemporary, kPenalized };

struct Settings {
  bool implicit_tls = false;  // TLS before the greeting; STLS or STARTTLS is not offered
  bool allow_plaintext_login = false;
  bool backend_login = false;             // the backend does the login itself; so this machine is for clear text only
  std::vector<std::string> capabilities;  // of the backend, announced besides what the state of the session demands
};

class Machine {
 public:
  explicit Machine(Settings settings) : settings_(std::move(settings)) {}
  virtual ~Machine() { Machine::Forget(); }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // The client is there.
  virtual Step OnConnect() = 0;
  virtual Input input() const = 0;
  // `line` has lost its line end and is no longer than input() said. `more_buffered`: the client has already sent
  // octets behind it.
  virtual Step OnLine(absl::string_view line, Ending ending, bool more_buffered) = 0;
  // The octets that input() asked for; none if they were to be dropped. Only a protocol that asks is given any.
  virtual Step OnLiteral(absl::string_view octets);
  // The handshake after kStartTls is done. No second greeting; what the client said before is forgotten.
  Step OnTls();
  // The attempt after kLogin did not succeed. When it did, the backend's own first line answers the client.
  virtual Step OnLoginFailed(LoginAnswer answer) = 0;
  // A backend that does the login itself has said this: "" if it is willing, else the line that the client is to be
  // told.
  virtual std::string Refusal(absl::string_view backend_line) const = 0;
  // What a program behind checkpassword is to answer the login with; "" where it knows that by itself.
  virtual absl::string_view login_tag() const { return ""; }
  // All that a login was tried with, once others have it. A worker lives as long as one session, but a core or a bug
  // should not find in it what is no longer needed.
  virtual void Forget();

  State state() const { return state_; }
  const std::string& user() const { return user_; }
  const std::string& password() const { return password_; }
  const std::string& login_line() const { return login_line_; }

 protected:
  // `reply` is lines, the last one without its CRLF; empty: none.
  Step Become(State next, Act act, absl::string_view reply);
  Step Stay(absl::string_view reply) { return Become(state_, Act::kNone, reply); }
  Step Close(absl::string_view reply, const char* why);
  bool LoginAllowed() const { return state_ == State::kSecured || settings_.allow_plaintext_login; }
  bool StartTlsOffered() const { return state_ == State::kPlain; }
  // The end of a dialogue about a login that may be tried: see sasl::Refusal().
  Step LogIn(absl::string_view user, absl::string_view password);
  Step LogInByBackend(absl::string_view line);

  const Settings settings_;
  State state_ = State::kGreeting;
  State before_login_ = State::kPlain;  // where a login that fails leads back to
  std::string user_, password_, login_line_;
  sasl::Exchange sasl_;
};

}  // namespace postern::protocolbroker

#endif  // POSTERN_PROTOCOLBROKER_MACHINE_H_
