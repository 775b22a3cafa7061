// What a client may answer in a SASL exchange: whatever it is, the exchange ends well only with credentials that
// checkpassword can be given, asks for no more than it needs, and keeps nothing of an exchange that failed.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "protocolbroker/sasl/exchange.h"

namespace {

using namespace postern::protocolbroker::sasl;  // NOLINT: a test

void Check(bool condition) {
  if (!condition) abort();
}

void CheckField(absl::string_view field) {
  Check(!field.empty());
  for (unsigned char c : field) Check(!absl::ascii_iscntrl(c));
}

void CheckEnd(const Exchange& exchange, Result result) {
  if (result == Result::kDone) {
    CheckField(exchange.user());
    CheckField(exchange.password());
    Check(exchange.user().size() + exchange.password().size() <= kCredentialsOctetsMax);
    return;
  }
  Check(exchange.user().empty() && exchange.password().empty());
  const absl::string_view error = exchange.error();
  Check(!error.empty() && error[0] != '[');  // for a client to see; no response code of POP3
  for (unsigned char c : error) Check(absl::ascii_isprint(c));
}

absl::string_view TakeLine(absl::string_view& input) {
  const absl::string_view line = input.substr(0, input.find('\n'));
  input.remove_prefix(line.size() + (line.size() < input.size() ? 1 : 0));
  return line;
}

// The first line is the mechanism; then, if the first octet says so, an initial response; then answers.
void Run(Exchange& exchange, absl::string_view input, bool with_initial, bool encode) {
  std::string encoded;
  const auto answer = [&]() -> absl::string_view {
    const absl::string_view line = TakeLine(input);
    if (!encode) return line;
    encoded = absl::Base64Escape(line);  // else a fuzzer hardly comes behind the decoder
    return encoded;
  };
  const absl::string_view mechanism = TakeLine(input);
  std::optional<absl::string_view> initial;
  if (with_initial) initial = answer();
  Result result = exchange.Start(mechanism, initial);
  for (int challenges = 0; result == Result::kChallenge; result = exchange.OnAnswer(answer())) {
    Check(++challenges <= 2);
    std::string text;
    Check(absl::Base64Unescape(exchange.challenge(), &text));
    if (input.empty()) return;
  }
  CheckEnd(exchange, result);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  absl::string_view input(reinterpret_cast<const char*>(data), size);
  const bool with_initial = (input[0] & 1) != 0, encode = (input[0] & 2) != 0;
  input.remove_prefix(1);
  Exchange exchange;
  Run(exchange, input, with_initial, encode);
  Run(exchange, input, !with_initial, encode);  // what came before must not show
  return 0;
}
