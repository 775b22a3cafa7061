#include "protocolbroker/imap/login_watch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "protocolbroker/imap/machine.h"

namespace postern::protocolbroker::imap {
namespace {

constexpr size_t kTagsMax = 16;
// A tag, a blank, AUTHENTICATE and a blank: what follows, a password perhaps, is not kept.
constexpr size_t kBeginningOctetsMax = kTagOctetsMax + 14;

}  // namespace

LoginWatch::Lines::Lines() { beginning_.reserve(kBeginningOctetsMax); }

template <typename OnWords>
void LoginWatch::Lines::Add(absl::string_view octets, OnWords on_words) {
  for (char octet : octets) {
    if (octet != '\n') {
      if (beginning_.size() < kBeginningOctetsMax) beginning_ += octet;
      continue;
    }
    const std::pair<absl::string_view, absl::string_view> words =
        absl::StrSplit(absl::StripSuffix(beginning_, "\r"), absl::MaxSplits(' ', 1));
    on_words(words.first, words.second.substr(0, words.second.find(' ')));
    sasl::Clear(beginning_);
  }
}

void LoginWatch::OnClient(absl::string_view octets) {
  if (logged_in_) return;
  client_.Add(octets, [this](absl::string_view tag, absl::string_view verb) {
    if (!absl::EqualsIgnoreCase(verb, "LOGIN") && !absl::EqualsIgnoreCase(verb, "AUTHENTICATE")) return;
    if (tags_.size() == kTagsMax) tags_.erase(tags_.begin());
    tags_.emplace_back(tag);
  });
}

void LoginWatch::OnBackend(absl::string_view octets) {
  if (logged_in_) return;
  backend_.Add(octets, [this](absl::string_view tag, absl::string_view status) {
    if (absl::EqualsIgnoreCase(status, "OK") && std::find(tags_.begin(), tags_.end(), tag) != tags_.end())
      logged_in_ = true;
  });
}

}  // namespace postern::protocolbroker::imap
