#ifndef POSTERN_PROTOCOLBROKER_IMAP_COMMAND_H_
#define POSTERN_PROTOCOLBROKER_IMAP_COMMAND_H_

// The syntax of IMAP commands as far as they matter before the login: RFC 3501 §9, with RFC 7888's literals. Pure.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace postern::protocolbroker::imap {

// "{5}" or "{5+}" at the end of a line: so many octets follow it.
struct Announcement {
  uint64_t octets;         // the greatest number there is stands for any beyond it
  bool synchronizing;      // the client waits to be told to go on
  size_t announce_octets;  // of the announcement itself, at the end of the line
};

// Nothing if the line ends without one, inside a quoted string for example.
std::optional<Announcement> FindAnnouncement(absl::string_view line);

// Without a tag: text, and the literals in it. Never grows beyond the octets it was made for, so that no copy of a
// password is left anywhere.
class Command {
 public:
  explicit Command(size_t octets_max) { octets_.reserve(octets_max); }
  ~Command() { Clear(); }
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  void AddText(absl::string_view text) { octets_.append(text.data(), text.size()); }
  void AddLiteral(absl::string_view literal);
  void Clear();
  // Up to the first blank or literal.
  absl::string_view verb() const;

 private:
  friend class Arguments;

  std::string octets_;                               // of text and literals, one behind the other
  std::vector<std::pair<size_t, size_t>> literals_;  // where each begins, and how many octets it has
};

// Reads a command from its beginning; the verb counts as the first atom. A getter that returns false has not found what
// it looks for, and the command is at fault.
class Arguments {
 public:
  explicit Arguments(const Command& command) : command_(command) {}

  bool AtEnd() const { return position_ == command_.octets_.size() && literal_ == command_.literals_.size(); }
  bool Take(char wanted);  // of the text, not of a literal
  bool Atom(absl::string_view* value);
  // Base64 and "=": everything up to a blank.
  bool Word(absl::string_view* value);
  bool String(std::string* value);   // quoted or literal
  bool AString(std::string* value);  // the same, or an atom
  bool NString();                    // a string or NIL; nobody wants to know which

 private:
  // The text up to the next literal.
  absl::string_view Text() const;
  bool Quoted(std::string* value);
  bool Literal(std::string* value);
  absl::string_view TakeWhile(bool (*is_one)(unsigned char));

  const Command& command_;
  size_t position_ = 0, literal_ = 0;
};

// A tag (RFC 3501 §9) at the beginning of a line; "" if there is none or it is longer than that.
absl::string_view FindTag(absl::string_view line, size_t octets_max);

}  // namespace postern::protocolbroker::imap

#endif  // POSTERN_PROTOCOLBROKER_IMAP_COMMAND_H_
