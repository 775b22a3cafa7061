#include "protocolbroker/machine.h"

#include "absl/strings/str_cat.h"

namespace postern::protocolbroker {

void Machine::Forget() {
  for (std::string* secret : {&user_, &password_, &login_line_}) sasl::Clear(*secret);
  sasl_.Forget();
}

Step Machine::OnLiteral(absl::string_view) { return Close("", "error"); }

Step Machine::OnTls() {
  Forget();
  return Become(State::kSecured, Act::kNone, "");
}

Step Machine::Become(State next, Act act, absl::string_view reply) {
  state_ = next;
  return {next, act, reply.empty() ? "" : absl::StrCat(reply, "\r\n")};
}

Step Machine::Close(absl::string_view reply, const char* why) {
  Step step = Become(State::kClosed, Act::kClose, reply);
  step.why = why;
  return step;
}

Step Machine::LogIn(absl::string_view user, absl::string_view password) {
  user_.assign(user.data(), user.size());  // which may be user_ itself: assign() allows that
  password_.assign(password.data(), password.size());
  sasl_.Forget();
  before_login_ = state_;
  return Become(State::kAwaitLogin, Act::kLogin, "");
}

Step Machine::LogInByBackend(absl::string_view line) {
  login_line_.assign(line.data(), line.size());
  return Become(State::kAwaitLogin, Act::kBackendLogin, "");
}

}  // namespace postern::protocolbroker
