#ifndef POSTERN_PROTOCOLBROKER_SASL_EXCHANGE_H_
#define POSTERN_PROTOCOLBROKER_SASL_EXCHANGE_H_

// SASL (RFC 4422) as far as checkpassword can serve it: PLAIN (RFC 4616) and LOGIN, which no RFC describes but old
// clients want. The mail protocol around it says how a challenge and an answer are framed. Pure.

#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace postern::protocolbroker::sasl {

inline constexpr absl::string_view kMechanisms = "PLAIN LOGIN";  // as CAPA and CAPABILITY list them

// Login and password together: checkpassword's 512 octets less its three NULs and a timestamp.
inline constexpr size_t kCredentialsOctetsMax = 500;
// A client's answer, base64, with its CRLF: room for more than fits, so that it is refused by name and not by length.
inline constexpr size_t kAnswerOctetsMax = 1024;

// Why a login and password are not to be tried; nullptr if they may be. NUL and other control characters would shift
// checkpassword's fields or have no business in a line.
const char* Refusal(absl::string_view user, absl::string_view password);

// Empties a string that held a secret and leaves nothing of it behind, beyond its present end either: a string that was
// longer, or was moved from, or that a decoder gave up on, still has octets there.
void Clear(std::string& secret);

enum class Result {
  kChallenge,  // send challenge(), wait for an answer
  kDone,       // user() and password()
  kMalformed,  // error(): the client has cancelled, or its answer is not base64
  kFailed,     // error()
};

class Exchange {
 public:
  Exchange() = default;
  ~Exchange() { Forget(); }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // `initial` is the initial response, base64, "=" for an empty one (RFC 4954 §4, RFC 4959 §3, RFC 5034 §4).
  Result Start(absl::string_view mechanism, std::optional<absl::string_view> initial);
  // The answer to a challenge, base64; "*" cancels.
  Result OnAnswer(absl::string_view base64);
  // Once user() and password() have been taken over.
  void Forget();

  const std::string& challenge() const { return challenge_; }  // base64, may be empty
  const char* error() const { return error_; }
  const std::string& user() const { return user_; }
  const std::string& password() const { return password_; }

 private:
  enum class Step { kPlain, kLoginUser, kLoginPassword };
  Result Take(absl::string_view octets);
  Result TakePlain(absl::string_view octets);
  Result Ask(Step step, absl::string_view challenge);
  Result Finish();
  Result Fail(const char* error, Result result = Result::kFailed);

  Step step_ = Step::kPlain;
  std::string challenge_, user_, password_;
  const char* error_ = "";
};

}  // namespace postern::protocolbroker::sasl

#endif  // POSTERN_PROTOCOLBROKER_SASL_EXCHANGE_H_
