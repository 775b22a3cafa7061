// The clients of the benchmark: TLS connections to a POP3 or IMAP server, full handshakes on P-256 every one.
//
// usage: client pop3|imap implicit|starttls PORT load CONNECTIONS PARALLEL [USER PASSWORD]
//        client pop3|imap implicit|starttls PORT replies TIMES USER PASSWORD
//        client pop3|imap implicit|starttls PORT hold SESSIONS [USER PASSWORD]
//        client pop3|imap implicit|starttls PORT bulk [USER PASSWORD]
//
// load and replies write lines "NAME MICROSECONDS": how long each reply took, and under "reply" the time from
// connect(2) to the first reply inside TLS or, with a user, to the open mailbox. hold opens sessions, says "ready", and
// ends with standard input. bulk does so too; at a line it fetches the first message and writes how many octets came.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/bench/dialogue.h"

namespace postern::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  bool start_tls = false, login = false;
  uint16_t port = 0;
  Dialogue dialogue;
};

using Times = std::vector<std::pair<std::string, long>>;  // name, microseconds

struct Deleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslPtr = std::unique_ptr<SSL, Deleter>;
using ContextPtr = std::unique_ptr<SSL_CTX, Deleter>;

// A benchmark with failed connections in it measures nothing: the first failure ends it.
[[noreturn]] void Fail(const char* what) {
  std::perror(what);
  ERR_print_errors_fp(stderr);
  std::exit(1);
}

ContextPtr MakeContext() {
  ContextPtr context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1 ||
      SSL_CTX_set1_groups_list(context.get(), "P-256") != 1)
    Fail("context");
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);  // the server's work is the same
  return context;
}

long MicrosSince(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count();
}

// One connection. Reads are unbuffered where octets of the handshake may follow.
class Connection {
 public:
  explicit Connection(uint16_t port) : start_(Clock::now()), socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) Fail("connect");
    const int kOn = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof kOn);
    const timeval kPatience = {30, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  }
  ~Connection() { close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Handshake(SSL_CTX* context) {
    ssl_.reset(SSL_new(context));
    if (SSL_set_fd(ssl_.get(), socket_) != 1 || SSL_connect(ssl_.get()) != 1) Fail("handshake");
  }

  // Both return how many octets came.
  size_t Greeting() { return Reply("greeting", Ends::kLine); }
  size_t Do(const Command& command) {
    Send(command.line + "\r\n");
    return Reply(command.name, command.ends);
  }

  // What was waited for so far, from connect(2) on.
  void Total() { times_.emplace_back("reply", MicrosSince(start_)); }

  void Close() { SSL_shutdown(ssl_.get()); }
  const Times& times() const { return times_; }

 private:
  void Send(const std::string& octets) {
    const int size = static_cast<int>(octets.size());
    if ((ssl_ ? SSL_write(ssl_.get(), octets.data(), size) : write(socket_, octets.data(), octets.size())) != size)
      Fail("write");
  }

  size_t Reply(const std::string& name, Ends ends) {
    constexpr size_t kLongestLine = 8192;  // octets; of a large reply the beginning and the end are kept
    const Clock::time_point start = Clock::now();
    std::string reply;
    size_t octets = 0;
    while (!Complete(reply, ends)) {
      if (reply.size() > 64 * kLongestLine) reply.erase(kLongestLine, reply.size() - 2 * kLongestLine);
      char part[65536];
      const ssize_t got = ssl_ ? SSL_read(ssl_.get(), part, sizeof part) : read(socket_, part, sizeof part);
      if (got <= 0) Fail(("read: " + name + ": " + reply).c_str());
      reply.append(part, static_cast<size_t>(got));
      octets += static_cast<size_t>(got);
    }
    if (!Good(reply, ends)) {
      std::fprintf(stderr, "%s: the server said: %s", name.c_str(), reply.c_str());
      std::exit(1);
    }
    times_.emplace_back(name, MicrosSince(start));
    return octets;
  }

  const Clock::time_point start_;
  const int socket_;
  SslPtr ssl_;
  Times times_;
};

// To the first reply inside TLS or, with a user, to the open mailbox.
std::unique_ptr<Connection> Open(const Options& options, SSL_CTX* context) {
  auto connection = std::make_unique<Connection>(options.port);
  if (options.start_tls) {
    connection->Greeting();
    connection->Do(options.dialogue.start_tls);
  }
  connection->Handshake(context);
  if (options.start_tls)
    connection->Do(options.dialogue.first);
  else
    connection->Greeting();
  if (options.login)
    for (const Command& command : options.dialogue.login) connection->Do(command);
  connection->Total();
  return connection;
}

void Print(const Times& times) {
  for (const auto& [name, micros] : times) std::printf("%s %ld\n", name.c_str(), micros);
}

void Load(const Options& options, size_t connections, int parallel) {
  const ContextPtr context = MakeContext();
  std::vector<Times> times(connections);
  std::atomic<size_t> next = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < parallel; ++i)
    threads.emplace_back([&] {
      for (size_t mine; (mine = next++) < times.size();) {
        const std::unique_ptr<Connection> connection = Open(options, context.get());
        if (options.login) connection->Do(options.dialogue.quit);
        connection->Close();
        times[mine] = connection->times();
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const Times& each : times) Print(each);
}

// A reply that waits for the client's delayed acknowledgement is 40 ms late; but no client delays its first ones.
void Replies(const Options& options, int times) {
  const ContextPtr context = MakeContext();
  const std::unique_ptr<Connection> connection = Open(options, context.get());
  while (times-- > 0)
    for (const Command& command : options.dialogue.work) connection->Do(command);
  connection->Do(options.dialogue.quit);
  Print(connection->times());
}

void Ready() {
  std::puts("ready");
  std::fflush(stdout);
}

void Hold(const Options& options, int sessions) {
  const ContextPtr context = MakeContext();
  std::deque<std::unique_ptr<Connection>> held;
  while (sessions-- > 0) held.push_back(Open(options, context.get()));
  Ready();
  while (std::getchar() != EOF) continue;
}

void Bulk(const Options& options) {
  const ContextPtr context = MakeContext();
  const std::unique_ptr<Connection> connection = Open(options, context.get());
  Ready();
  if (std::getchar() == EOF) return;
  std::printf("%zu\n", connection->Do(options.dialogue.bulk));
  std::fflush(stdout);
  while (std::getchar() != EOF) continue;
  connection->Do(options.dialogue.quit);
}

int Run(const std::vector<std::string>& words) {
  if (words.size() < 4) return 100;
  const std::string& what = words[3];
  const size_t numbers = what == "load" ? 2 : what == "bulk" ? 0 : 1;
  const size_t before_user = 4 + numbers;
  if (words.size() != before_user && words.size() != before_user + 2) return 100;
  Options options;
  options.start_tls = words[1] == "starttls";
  options.port = static_cast<uint16_t>(std::stoi(words[2]));
  options.login = words.size() > before_user;
  options.dialogue = MakeDialogue(words[0], options.login ? words[before_user] : "", options.login ? words.back() : "");
  if (what == "load") Load(options, std::stoul(words[4]), std::stoi(words[5]));
  if (what == "replies") Replies(options, std::stoi(words[4]));
  if (what == "hold") Hold(options, std::stoi(words[4]));
  if (what == "bulk") Bulk(options);
  return 0;
}

}  // namespace
}  // namespace postern::bench

int main(int argc, char** argv) {
  const int status = postern::bench::Run(std::vector<std::string>(argv + 1, argv + argc));
  if (status == 100) std::fputs("usage: client pop3|imap implicit|starttls PORT load|replies|hold|bulk ...\n", stderr);
  return status;
}
