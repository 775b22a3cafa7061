#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "config/config.h"

namespace postern::config {
namespace {

class FilesTest : public testing::Test {
 protected:
  // Where another user can go, too.
  FilesTest() : directory_("/tmp/postern_config_XXXXXX") {
    EXPECT_NE(mkdtemp(directory_.data()), nullptr);
    Make("cert.pem", 0644);
    Make("key.pem", 0600);
    Make("program", 0755);
    Make("plain", 0644);
  }

  ~FilesTest() override {
    for (const char* name : {"cert.pem", "key.pem", "program", "plain", "p.toml"}) unlink(Path(name).c_str());
    rmdir(directory_.c_str());
  }

  std::string Path(absl::string_view name) const { return absl::StrCat(directory_, "/", name); }

  void Make(absl::string_view name, mode_t mode, absl::string_view text = "") {
    std::ofstream(Path(name)) << text;
    EXPECT_EQ(chmod(Path(name).c_str(), mode), 0);
  }

  // DIR stands for the directory, in `text` and in what is returned.
  std::string Check(absl::string_view text) {
    const absl::StatusOr<Config> config = Parse(Path("p.toml"), absl::StrReplaceAll(text, {{"DIR", directory_}}));
    if (!config.ok()) return std::string(config.status().message());
    return absl::StrReplaceAll(absl::StrJoin(CheckFiles(*config), "\n"), {{directory_, "DIR"}});
  }

  std::string directory_;
};

constexpr absl::string_view kFiles =
    "[service.s]\nprotocol='pop3'\nlisten=['127.0.0.1:1']\ncertificate='cert.pem'\nkey='key.pem'\n"
    "checkpassword=['DIR/program']\nbackend=['DIR/program']\n[roles]\ndirectory='.'\n";

TEST_F(FilesTest, FindsWhatIsWrongWithThem) {
  const struct {
    absl::string_view from, to, problems;
  } kRows[] = {
      {"cert.pem", "cert.pem", ""},
      {"cert.pem", "no.pem", "DIR/p.toml:4:13: certificate \"DIR/no.pem\": No such file or directory"},
      {"cert.pem", ".", "DIR/p.toml:4:13: certificate \"DIR/.\": is not a regular file"},
      {"key.pem", "no.pem", "DIR/p.toml:5:5: key \"DIR/no.pem\": No such file or directory"},
      {"key.pem", "plain",
       "DIR/p.toml:5:5: key \"DIR/plain\": has mode 0644, so others than its owner may use it; give it 0600"},
      {"key.pem", "/dev/null", "DIR/p.toml:5:5: key \"/dev/null\": is not a regular file"},
      {"word=['DIR/program", "word=['DIR/plain",
       "DIR/p.toml:6:15: checkpassword \"DIR/plain\": cannot be executed: Permission denied"},
      {"backend=['DIR/program", "backend=['DIR/none",
       "DIR/p.toml:7:9: backend \"DIR/none\": No such file or directory"},
      {"backend=['DIR/program", "backend=['DIR", "DIR/p.toml:7:9: backend \"DIR\": is not a regular file"},
      {"directory='.'", "directory='plain'", "DIR/p.toml:9:11: directory \"DIR/plain\": is not a directory"},
      {"directory='.'", "policies='none'", "DIR/p.toml:9:10: policies \"DIR/none\": No such file or directory"},
      {"'cert.pem'\nkey='key.pem'", "['cert.pem', 'no.pem']\nkey=['key.pem', 'plain']",
       "DIR/p.toml:4:26: certificate \"DIR/no.pem\": No such file or directory\n"
       "DIR/p.toml:5:17: key \"DIR/plain\": has mode 0644, so others than its owner may use it; give it 0600"},
      {"cert.pem'\nkey='key.pem", "1'\nkey='2",
       "DIR/p.toml:4:13: certificate \"DIR/1\": No such file or directory\n"
       "DIR/p.toml:5:5: key \"DIR/2\": No such file or directory"},
  };
  for (const auto& row : kRows)
    EXPECT_EQ(Check(absl::StrReplaceAll(kFiles, {{row.from, row.to}})), std::string(row.problems)) << row.to;
}

TEST_F(FilesTest, EveryBitForOthersIsTooMuch) {
  for (mode_t bit : {040, 020, 010, 04, 02, 01}) {
    chmod(Path("key.pem").c_str(), 0600 | bit);
    EXPECT_NE(Check(kFiles), "") << bit;
  }
  chmod(Path("key.pem").c_str(), 0400);
  EXPECT_EQ(Check(kFiles), "");
}

TEST_F(FilesTest, WhatCannotBeRead) {
  chmod(Path("cert.pem").c_str(), 0);
  const bool root = geteuid() == 0;
  if (root) {  // who could read anything
    constexpr uid_t kNobody = 65534;
    ASSERT_EQ(chown(directory_.c_str(), kNobody, kNobody) | chown(Path("key.pem").c_str(), kNobody, kNobody), 0);
    ASSERT_EQ(seteuid(kNobody), 0);
  }
  const std::string said = Check(kFiles);
  ASSERT_TRUE(!root || seteuid(0) == 0);
  EXPECT_EQ(said, "DIR/p.toml:4:13: certificate \"DIR/cert.pem\": cannot be read: Permission denied");
}

TEST_F(FilesTest, TheOwnerIsRootOrTheCaller) {
  // Giving a file away fails for all but root.
  if (chown(Path("key.pem").c_str(), 12345, static_cast<gid_t>(-1)) != 0) GTEST_SKIP() << "needs root";
  EXPECT_EQ(
      Check(kFiles),
      "DIR/p.toml:5:5: key \"DIR/key.pem\": belongs to uid 12345; it must be root's or, run by somebody else, that "
      "user's");
}

TEST_F(FilesTest, AConfigMadeByHandIsCheckedToo) {
  Config config;
  config.path = "x";
  config.services.emplace_back();
  config.services[0].certificates = {{"relative", "", {}, {}}};
  config.services[0].backend = {"relative"};
  EXPECT_EQ(absl::StrJoin(CheckFiles(config), "\n"),
            "x: certificate \"relative\": is not an absolute path\nx: key \"\": is not an absolute path\n"
            "x: checkpassword names no program\nx: backend \"relative\": is not an absolute path");
}

TEST_F(FilesTest, LoadReadsTheFile) {
  EXPECT_EQ(Load(Path("p.toml")).status().message(),
            absl::StrCat(Path("p.toml"), ": cannot be opened: No such file or directory"));
  EXPECT_EQ(Load(directory_).status().message(), absl::StrCat(directory_, ": cannot be read: Is a directory"));
  Make("p.toml", 0600, std::string(kFileOctetsMax + 1, ' '));
  EXPECT_EQ(Load(Path("p.toml")).status().message(), absl::StrCat(Path("p.toml"), ": more than 65536 octets"));
  Make("p.toml", 0600, absl::StrReplaceAll(kFiles, {{"DIR", directory_}}));
  const absl::StatusOr<Config> config = Load(Path("p.toml"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->services[0].certificates.at(0).certificate, Path("cert.pem"));
}

TEST_F(FilesTest, ARelativeNameIsTakenFromTheWorkingDirectory) {
  Make("p.toml", 0600, absl::StrReplaceAll(kFiles, {{"DIR", directory_}}));
  char before[4096];
  ASSERT_NE(getcwd(before, sizeof before), nullptr);
  ASSERT_EQ(chdir(directory_.c_str()), 0);
  const absl::StatusOr<Config> config = Load("p.toml");
  const absl::StatusOr<Config> wrong = Parse("p.toml", "x=1");
  ASSERT_EQ(chdir(before), 0);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->services[0].certificates.at(0).certificate, Path("cert.pem"));
  EXPECT_EQ(wrong.status().message().substr(0, 7), "p.toml:");
}

}  // namespace
}  // namespace postern::config
