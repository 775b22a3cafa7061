#include "protocolbroker/sasl/exchange.h"

#include <string.h>

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "protocolbroker/control.h"

namespace postern::protocolbroker::sasl {
namespace {

// RFC 4648 §4 and nothing more: absl's decoder also takes white space, missing padding, "." as padding, and bits behind
// the last octet.
bool Decode(absl::string_view base64, std::string* octets) {
  if (!absl::Base64Unescape(base64, octets)) return false;
  std::string again = absl::Base64Escape(*octets);
  const bool same = again == base64;
  Clear(again);
  return same;
}

}  // namespace

void Clear(std::string& secret) {
  secret.resize(secret.capacity());
  explicit_bzero(secret.data(), secret.size());
  secret.clear();
}

const char* Refusal(absl::string_view user, absl::string_view password) {
  if (user.empty()) return "the user name is empty";
  if (password.empty()) return "the password is empty";
  if (HasControl(user) || HasControl(password)) return "control character in user name or password";
  if (user.size() + password.size() > kCredentialsOctetsMax) return "user name and password are too long to be tried";
  return nullptr;
}

void Exchange::Forget() {
  Clear(user_);
  Clear(password_);
}

Result Exchange::Start(absl::string_view mechanism, std::optional<absl::string_view> initial) {
  Forget();
  Result result = Result::kFailed;
  if (absl::EqualsIgnoreCase(mechanism, "PLAIN"))
    result = Ask(Step::kPlain, "");
  else if (absl::EqualsIgnoreCase(mechanism, "LOGIN"))
    result = Ask(Step::kLoginUser, "Username:");
  else
    return Fail("only PLAIN and LOGIN are served here");
  if (!initial.has_value()) return result;
  return *initial == "=" ? Take("") : OnAnswer(*initial);
}

Result Exchange::OnAnswer(absl::string_view base64) {
  if (base64 == "*") return Fail("cancelled", Result::kMalformed);
  std::string octets;
  const Result result = Decode(base64, &octets) ? Take(octets) : Fail("not base64", Result::kMalformed);
  Clear(octets);
  return result;
}

Result Exchange::Take(absl::string_view octets) {
  switch (step_) {
    case Step::kPlain:
      return TakePlain(octets);
    case Step::kLoginUser:
      user_.assign(octets.data(), octets.size());
      return Ask(Step::kLoginPassword, "Password:");
    case Step::kLoginPassword:
      password_.assign(octets.data(), octets.size());
      return Finish();
  }
  return Fail("no such step");
}

// RFC 4616 §2: authorization identity NUL authentication identity NUL password.
Result Exchange::TakePlain(absl::string_view octets) {
  const std::vector<absl::string_view> parts = absl::StrSplit(octets, '\0');
  if (parts.size() != 3) return Fail("PLAIN wants three fields");
  if (!parts[0].empty() && parts[0] != parts[1]) return Fail("no login as another user");
  // Assigned, not moved there: the temporary would keep a short password on the stack.
  user_.assign(parts[1].data(), parts[1].size());
  password_.assign(parts[2].data(), parts[2].size());
  return Finish();
}

Result Exchange::Ask(Step step, absl::string_view challenge) {
  step_ = step;
  challenge_ = absl::Base64Escape(challenge);
  return Result::kChallenge;
}

Result Exchange::Finish() {
  const char* refusal = Refusal(user_, password_);
  return refusal == nullptr ? Result::kDone : Fail(refusal);
}

Result Exchange::Fail(const char* error, Result result) {
  Forget();
  error_ = error;
  return result;
}

}  // namespace postern::protocolbroker::sasl
