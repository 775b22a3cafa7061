#include "protocolbroker/imap/command.h"

#include <algorithm>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "protocolbroker/sasl/exchange.h"

namespace postern::protocolbroker::imap {
namespace {

// ATOM-CHAR: any CHAR except atom-specials. '{' is among those, so no literal is taken for an atom.
bool IsAtomChar(unsigned char c) {
  return absl::ascii_isgraph(c) &&
         absl::string_view("(){%*\"\\]").find(static_cast<char>(c)) == absl::string_view::npos;
}
bool IsAstringChar(unsigned char c) { return IsAtomChar(c) || c == ']'; }
bool IsTagChar(unsigned char c) { return IsAstringChar(c) && c != '+'; }
bool IsNotBlank(unsigned char c) { return absl::ascii_isgraph(c); }

bool EndsInsideQuotes(absl::string_view text) {
  bool inside = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (inside && text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      inside = !inside;
  }
  return inside;
}

}  // namespace

std::optional<Announcement> FindAnnouncement(absl::string_view line) {
  const size_t brace = line.rfind('{');
  if (brace == absl::string_view::npos) return std::nullopt;
  absl::string_view inner = line.substr(brace + 1);
  const size_t announce_octets = inner.size() + 1;
  if (!absl::ConsumeSuffix(&inner, "}")) return std::nullopt;
  const bool synchronizing = !absl::ConsumeSuffix(&inner, "+");
  if (inner.empty() || !std::all_of(inner.begin(), inner.end(), absl::ascii_isdigit)) return std::nullopt;
  if (EndsInsideQuotes(line.substr(0, brace))) return std::nullopt;
  uint64_t octets;
  if (!absl::SimpleAtoi(inner, &octets)) octets = std::numeric_limits<uint64_t>::max();
  return Announcement{octets, synchronizing, announce_octets};
}

absl::string_view FindTag(absl::string_view line, size_t octets_max) {
  const auto end = std::find_if_not(line.begin(), line.end(), IsTagChar);
  const size_t octets = static_cast<size_t>(end - line.begin());
  const bool ends = octets == line.size() || line[octets] == ' ';
  return ends && octets <= octets_max ? line.substr(0, octets) : "";
}

void Command::AddLiteral(absl::string_view literal) {
  literals_.emplace_back(octets_.size(), literal.size());
  AddText(literal);
}

void Command::Clear() {
  sasl::Clear(octets_);
  literals_.clear();
}

absl::string_view Command::verb() const {
  absl::string_view text = octets_;
  if (!literals_.empty()) text = text.substr(0, literals_[0].first);
  return text.substr(0, text.find(' '));
}

absl::string_view Arguments::Text() const {
  absl::string_view text = command_.octets_;
  if (literal_ < command_.literals_.size()) text = text.substr(0, command_.literals_[literal_].first);
  return text.substr(position_);
}

absl::string_view Arguments::TakeWhile(bool (*is_one)(unsigned char)) {
  const absl::string_view text = Text();
  const auto end = std::find_if_not(text.begin(), text.end(), is_one);
  const absl::string_view taken = text.substr(0, static_cast<size_t>(end - text.begin()));
  position_ += taken.size();
  return taken;
}

bool Arguments::Take(char wanted) {
  const absl::string_view text = Text();
  if (text.empty() || text[0] != wanted) return false;
  ++position_;
  return true;
}

bool Arguments::Atom(absl::string_view* value) {
  *value = TakeWhile(IsAtomChar);
  return !value->empty();
}

bool Arguments::Word(absl::string_view* value) {
  *value = TakeWhile(IsNotBlank);
  return !value->empty();
}

bool Arguments::Literal(std::string* value) {
  if (literal_ == command_.literals_.size() || command_.literals_[literal_].first != position_) return false;
  const size_t octets = command_.literals_[literal_++].second;
  value->assign(command_.octets_, position_, octets);
  position_ += octets;
  return true;
}

// Octets above ASCII are taken as RFC 9051 allows them there; RFC 3501 does not.
bool Arguments::Quoted(std::string* value) {
  if (!Take('"')) return false;
  value->clear();
  value->reserve(Text().size());
  for (absl::string_view text = Text(); !text.empty(); text = Text()) {
    ++position_;
    if (text[0] == '"') return true;
    if (text[0] == '\\') {
      if (text.size() < 2 || (text[1] != '"' && text[1] != '\\')) return false;
      ++position_;
      value->push_back(text[1]);
    } else {
      value->push_back(text[0]);
    }
  }
  return false;
}

bool Arguments::String(std::string* value) { return Literal(value) || Quoted(value); }

bool Arguments::AString(std::string* value) {
  const absl::string_view atom = TakeWhile(IsAstringChar);
  if (atom.empty()) return String(value);
  value->assign(atom.data(), atom.size());
  return true;
}

bool Arguments::NString() {
  absl::string_view atom;
  if (Atom(&atom)) return absl::EqualsIgnoreCase(atom, "NIL");
  std::string ignored;
  return String(&ignored);
}

}  // namespace postern::protocolbroker::imap
