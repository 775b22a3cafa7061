#include "protocolbroker/sasl/exchange.h"

#include <string.h>

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace postern::protocolbroker::sasl {
namespace {

bool HasControl(absl::string_view text) {
  for (char c : text)
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) return true;
  return false;
}

// RFC 4648 §4 and nothing more: absl's decoder also takes white space, missing padding, and bits behind the last octet.
bool Decode(absl::string_view base64, std::string* octets) {
  if (!absl::Base64Unescape(base64, octets)) return false;
  std::string again = absl::Base64Escape(*octets);
  const bool same = again == base64;
  explicit_bzero(again.data(), again.size());
  return same;
}

void Clear(std::string& text) {
  explicit_bzero(text.data(), text.size());
  text.clear();
}

}  // namespace

const char* Refusal(absl::string_view user, absl::string_view password) {
  if (user.empty()) return "the user name is empty";
  if (password.empty()) return "the password is empty";
  if (HasControl(user) || HasControl(password)) return "control character in user name or password";
  if (user.size() + password.size() > kCredentialsOctetsMax) return "user name and password are too long";
  return nullptr;
}

Exchange::~Exchange() {
  Clear(user_);
  Clear(password_);
}

Result Exchange::Start(absl::string_view mechanism, std::optional<absl::string_view> initial) {
  Clear(user_);
  Clear(password_);
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
  if (base64 == "*") return Fail("cancelled");
  std::string octets;
  if (!Decode(base64, &octets)) {
    Clear(octets);
    return Fail("not base64");
  }
  return Take(std::move(octets));
}

Result Exchange::Take(std::string octets) {
  Result result = Result::kFailed;
  switch (step_) {
    case Step::kPlain:
      result = TakePlain(octets);
      break;
    case Step::kLoginUser:
      user_ = octets;
      result = Ask(Step::kLoginPassword, "Password:");
      break;
    case Step::kLoginPassword:
      password_ = octets;
      result = Finish();
      break;
  }
  Clear(octets);
  return result;
}

// RFC 4616 §2: authorization identity NUL authentication identity NUL password.
Result Exchange::TakePlain(absl::string_view octets) {
  const std::vector<absl::string_view> parts = absl::StrSplit(octets, '\0');
  if (parts.size() != 3) return Fail("PLAIN wants three fields");
  if (!parts[0].empty() && parts[0] != parts[1]) return Fail("no login as another user");
  user_ = std::string(parts[1]);
  password_ = std::string(parts[2]);
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

Result Exchange::Fail(const char* error) {
  Clear(user_);
  Clear(password_);
  error_ = error;
  return Result::kFailed;
}

}  // namespace postern::protocolbroker::sasl
