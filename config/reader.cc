#include "config/reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/suggest.h"

namespace postern::config {
namespace {

// "belongs in [limits]", "stands outside of sections": where a hint sends a key.
std::string SectionText(absl::string_view section) {
  return section.empty() ? "outside of a section" : absl::StrCat("in [", section, "]");
}

constexpr absl::string_view kString = "a string, not empty and without NUL";

bool IsString(const Value& value) {
  return value.kind == Kind::kString && !value.text.empty() && !absl::StrContains(value.text, '\0');
}

}  // namespace

const Value* Reader::Find(absl::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
  for (const Entry& entry : table_.entries)
    if (entry.key == key) return &entry.value;
  return nullptr;
}

bool Reader::Mismatch(absl::string_view key, absl::string_view wanted, const Value& value) {
  errors_.Add(value.place, absl::StrCat(key, " must be ", wanted, ", not ", Show(value)));
  return false;
}

bool Reader::Number(absl::string_view key, Range range, int64_t* value, Place* place) {
  const Value* found = Find(key);
  if (found == nullptr) return true;
  if (found->kind != Kind::kInteger || found->integer < range.least || found->integer > range.most)
    return Mismatch(key, absl::StrCat("a whole number from ", range.least, " to ", range.most), *found);
  *value = found->integer;
  if (place != nullptr) *place = found->place;
  return true;
}

bool Reader::Duration(absl::string_view key, Range range, absl::Duration unit, absl::Duration* value, Place* place) {
  int64_t number = *value / unit;
  if (!Number(key, range, &number, place)) return false;
  *value = number * unit;
  return true;
}

bool Reader::Boolean(absl::string_view key, bool* value) {
  const Value* found = Find(key);
  if (found == nullptr) return true;
  if (found->kind != Kind::kBoolean) return Mismatch(key, "true or false", *found);
  *value = found->boolean;
  return true;
}

bool Reader::String(absl::string_view key, std::string* value, Place* place) {
  const Value* found = Find(key);
  if (found == nullptr) return true;
  if (!IsString(*found)) return Mismatch(key, kString, *found);
  *value = found->text;
  if (place != nullptr) *place = found->place;
  return true;
}

bool Reader::Choice(absl::string_view key, absl::Span<const absl::string_view> choices, std::string* value) {
  const Value* found = Find(key);
  if (found == nullptr) return true;
  if (found->kind != Kind::kString || std::find(choices.begin(), choices.end(), found->text) == choices.end()) {
    const std::string wanted = absl::StrCat("\"", absl::StrJoin(choices, "\" or \""), "\"");
    return Mismatch(key, wanted, *found);
  }
  *value = found->text;
  return true;
}

bool Reader::Strings(absl::string_view key, std::vector<Text>* value, Place* place) {
  const Value* found = Find(key);
  if (found == nullptr) return true;
  if (found->kind != Kind::kArray) return Mismatch(key, "an array of strings", *found);
  std::vector<Text> texts;
  bool good = true;
  for (const Value& element : found->elements) {
    if (element.kind != Kind::kString || absl::StrContains(element.text, '\0'))
      good = Mismatch(absl::StrCat("an element of ", key), "a string without NUL", element);
    else
      texts.push_back({element.text, element.place});
  }
  if (!good) return false;
  *value = std::move(texts);
  if (place != nullptr) *place = found->place;
  return true;
}

bool Reader::StringOrStrings(absl::string_view key, std::vector<Text>* value, Place* place) {
  const Value* found = Find(key);
  if (found == nullptr) return true;
  if (found->kind == Kind::kString && !IsString(*found)) return Mismatch(key, kString, *found);
  if (found->kind != Kind::kString && found->kind != Kind::kArray)
    return Mismatch(key, "a string or an array of strings", *found);
  std::vector<Text> texts;
  if (found->kind == Kind::kString) texts.push_back({found->text, found->place});
  bool good = true;
  for (const Value& element : found->elements) {
    if (IsString(element))
      texts.push_back({element.text, element.place});
    else
      good = Mismatch(absl::StrCat("an element of ", key), kString, element);
  }
  if (!good) return false;
  *value = std::move(texts);
  *place = found->place;
  return true;
}

const Value* Reader::Table(absl::string_view key, absl::string_view form) {
  const Value* found = Find(key);
  if (found == nullptr || found->kind == Kind::kTable) return found;
  Mismatch(key, form, *found);
  return nullptr;
}

std::string Reader::Hint(const Entry& entry, absl::Span<const Home> homes) const {
  for (const Home& home : homes)
    if (home.key == entry.key && entry.value.kind != Kind::kTable)
      return absl::StrCat("; it belongs ", SectionText(home.section));
  const std::string near = base::Suggest(entry.key, known_);
  if (!near.empty()) return absl::StrCat("; did you mean \"", near, "\"?");
  std::vector<absl::string_view> keys;
  for (const Home& home : homes) keys.push_back(home.key);
  const std::string elsewhere = base::Suggest(entry.key, keys);
  for (const Home& home : homes)
    if (home.key == elsewhere)
      return absl::StrCat("; did you mean \"", elsewhere, "\" ", SectionText(home.section), "?");
  return "";
}

void Reader::ReportUnknown(const Entry& entry, absl::Span<const Home> homes) {
  const std::string where = section_.empty() ? "" : absl::StrCat(" ", SectionText(section_));
  const bool is_section = section_.empty() && entry.value.kind == Kind::kTable;
  errors_.Add(entry.key_place, absl::StrCat(is_section ? "unknown section " : "unknown key ", Quote(entry.key), where,
                                            Hint(entry, homes)));
}

void Reader::Finish(absl::Span<const Home> homes) {
  for (const Entry& entry : table_.entries)
    if (std::find(known_.begin(), known_.end(), entry.key) == known_.end()) ReportUnknown(entry, homes);
}

}  // namespace postern::config
