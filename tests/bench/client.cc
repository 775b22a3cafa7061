// The load of the benchmark: opens TLS connections to a POP3 server, full handshakes on P-256 every one, some at a
// time. Writes one line for each: the microseconds from connect(2) to the first reply inside TLS, or, with a user, to
// the answer to STAT.
//
// usage: client implicit|stls PORT CONNECTIONS PARALLEL [USER PASSWORD]

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
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Load {
  bool stls = false;
  uint16_t port = 0;
  int connections = 0, parallel = 0;
  std::string user, password;
};

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

// One connection. Reads are unbuffered where octets of the handshake may follow.
class Connection {
 public:
  explicit Connection(uint16_t port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
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

  void Send(const std::string& line) {
    const std::string octets = line + "\r\n";
    const int size = static_cast<int>(octets.size());
    if ((ssl_ ? SSL_write(ssl_.get(), octets.data(), size) : write(socket_, octets.data(), octets.size())) != size)
      Fail("write");
  }

  // A reply of one line, or up to the line with the dot.
  void Expect(bool multi_line = false) {
    const std::string end = multi_line ? "\r\n.\r\n" : "\r\n";
    std::string reply;
    while (reply.size() < end.size() || reply.compare(reply.size() - end.size(), end.size(), end) != 0) {
      char octets[4096];
      const ssize_t got = ssl_ ? SSL_read(ssl_.get(), octets, sizeof octets) : read(socket_, octets, sizeof octets);
      if (got <= 0) Fail("read");
      reply.append(octets, static_cast<size_t>(got));
    }
    if (reply.compare(0, 3, "+OK") != 0) {
      std::fprintf(stderr, "the server said: %s", reply.c_str());
      std::exit(1);
    }
  }

  void Command(const std::string& line, bool multi_line = false) {
    Send(line);
    Expect(multi_line);
  }

  void Close() { SSL_shutdown(ssl_.get()); }

 private:
  const int socket_;
  SslPtr ssl_;
};

long Session(const Load& load, SSL_CTX* context) {
  const Clock::time_point start = Clock::now();
  const auto elapsed = [start] {
    return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count();
  };
  Connection connection(load.port);
  if (load.stls) {
    connection.Expect();
    connection.Command("STLS");
  }
  connection.Handshake(context);
  if (load.stls)
    connection.Command("CAPA", true);
  else
    connection.Expect();
  long micros = elapsed();
  if (!load.user.empty()) {
    connection.Command("USER " + load.user);
    connection.Command("PASS " + load.password);
    connection.Command("STAT");
    micros = elapsed();
    connection.Command("QUIT");
  }
  connection.Close();
  return micros;
}

void Run(const Load& load) {
  const ContextPtr context = MakeContext();
  std::vector<long> micros(static_cast<size_t>(load.connections));
  std::atomic<size_t> next = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < load.parallel; ++i)
    threads.emplace_back([&] {
      for (size_t mine; (mine = next++) < micros.size();) micros[mine] = Session(load, context.get());
    });
  for (std::thread& thread : threads) thread.join();
  for (const long one : micros) std::printf("%ld\n", one);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5 && argc != 7) {
    std::fputs("usage: client implicit|stls PORT CONNECTIONS PARALLEL [USER PASSWORD]\n", stderr);
    return 100;
  }
  Load load;
  load.stls = std::string(argv[1]) == "stls";
  load.port = static_cast<uint16_t>(std::atoi(argv[2]));
  load.connections = std::atoi(argv[3]);
  load.parallel = std::atoi(argv[4]);
  if (argc == 7) {
    load.user = argv[5];
    load.password = argv[6];
  }
  Run(load);
  return 0;
}
