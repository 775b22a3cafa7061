#ifndef POSTERN_IPC_MESSAGES_H_
#define POSTERN_IPC_MESSAGES_H_

// Every octet that crosses a border between two roles, and who may send it. A message is one fixed-size struct in one
// packet, in host order: one machine, one build. There is no length to believe and no field to parse.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "absl/strings/string_view.h"

namespace postern::ipc {

inline constexpr uint16_t kVersion = 1;           // any other value ends the session: no mixed builds
inline constexpr size_t kPayloadOctetsMax = 512;  // of the largest message; see the static_assert in channel.h
inline constexpr size_t kFdsMax = 4;              // with one message

enum class Role : uint8_t { kSupervisor, kAcceptor, kProtocolBroker, kTlsWorker, kBackendLauncher, kBegin, kLogger };

enum class Type : uint16_t {
  kReady = 1,
  kDrain,
  kSession,
  kLaunchLine,
  kStartTls,
  kTlsStarted,
  kLogin,
  kLoginResult,
  kStream,
  kStarted,
  kAuthenticated,
  kExecFailed,
  kBackendSocket,
  kLaunch,
  kConnect,
  kTether,
  kResume,
  kHold,
  kHeld,
};

struct Header {
  uint16_t version;
  Type type;
};
static_assert(sizeof(Header) == 4 && std::is_trivially_copyable_v<Header>);

// At most kOctetsMax octets of text, the rest zero. Text from a peer is checked by Valid() before anyone looks at it:
// printable ASCII, so that it may go into an environment.
template <size_t kOctetsMax>
struct Text {
  uint16_t octets = 0;
  char data[kOctetsMax] = {};

  // Octets that are not printable ASCII become '?', a longer text is cut.
  static Text From(absl::string_view text) {
    Text result;
    for (char c : text.substr(0, kOctetsMax)) result.data[result.octets++] = c >= ' ' && c < 0x7f ? c : '?';
    return result;
  }
  absl::string_view view() const { return absl::string_view(data, octets); }
  bool Valid() const {
    if (octets > kOctetsMax) return false;
    for (char c : view())
      if (c < ' ' || c >= 0x7f) return false;
    return true;
  }
};

// Of a TCP socket. IPv4-mapped IPv6 addresses are stored as IPv4.
struct Address {
  uint16_t version = 0;  // 4 or 6
  uint16_t port = 0;     // host order
  uint8_t octets[16] = {};

  bool Valid() const { return version == 4 || version == 6; }
};

// What the environment of a backend tells about TLS. All empty: clear text.
struct TlsFacts {
  Text<14> version;  // as OpenSSL names it, "TLSv1.3"
  Text<62> cipher;   // "TLS_AES_256_GCM_SHA384"
  Text<254> sni;     // server name the client asked for, if it did; RFC 6066 §3

  bool Valid() const { return version.Valid() && cipher.Valid() && sni.Valid(); }
};

// A role has read its configuration, taken its descriptors and sealed itself.
struct Ready {
  static constexpr Type kType = Type::kReady;
  static constexpr size_t kFds = 0;
  uint32_t unused = 0;
  bool Valid() const { return true; }
};

// Accept nothing more, and exit once no session is left.
struct Drain {
  static constexpr Type kType = Type::kDrain;
  static constexpr size_t kFds = 0;
  uint32_t unused = 0;
  bool Valid() const { return true; }
};

// A client to speak with. Descriptors: the client's socket, the life pipe (held, never written), the launch line.
struct Session {
  static constexpr Type kType = Type::kSession;
  static constexpr size_t kFds = 3;
  uint64_t session;   // for the log only: it gives no right to anything
  uint32_t listener;  // index into the configured listeners
  uint32_t unused = 0;
  bool Valid() const { return true; }
};

// The right to log in for one client. Descriptors: the launch line, the life pipe.
struct LaunchLine {
  static constexpr Type kType = Type::kLaunchLine;
  static constexpr size_t kFds = 2;
  uint64_t session;
  uint32_t service;  // index into the configured services
  Address client, server;
  uint32_t unused = 0;
  bool Valid() const { return client.Valid() && server.Valid(); }
};

// What a tlsworker does with the plain side after the handshake.
enum class PlainSide : uint32_t {
  kRelay = 0,    // it relays
  kHold = 1,     // it leaves it alone until Resume
  kMayHold = 2,  // it relays, and looks out for Hold
};

// Speak TLS with a client. Descriptors: its socket, the plain side, the reply line, the life pipe.
struct StartTls {
  static constexpr Type kType = Type::kStartTls;
  static constexpr size_t kFds = 4;
  uint64_t session;
  uint32_t service;
  PlainSide plain_side;
  bool Valid() const { return plain_side <= PlainSide::kMayHold; }
};

// The handshake is done. End of file on the reply line instead: it failed.
struct TlsStarted {
  static constexpr Type kType = Type::kTlsStarted;
  static constexpr size_t kFds = 0;
  TlsFacts facts;
  bool Valid() const { return facts.Valid(); }
};

// Try a login. Descriptor: a pipe with what checkpassword reads from descriptor 3.
struct Login {
  static constexpr Type kType = Type::kLogin;
  static constexpr size_t kFds = 1;
  TlsFacts facts;
  bool Valid() const { return facts.Valid(); }
};

enum class LoginOutcome : uint32_t {
  kAccepted = 1,      // send the stream
  kRejected = 2,      // wrong name or password; another attempt is allowed
  kRejectedLast = 3,  // the same, and no further attempt
  kTemporary = 4,     // checkpassword or the system could not tell; no further attempt
  kPenalized = 5,     // not tried: too many logins from this address have failed; no further attempt
};

struct LoginResult {
  static constexpr Type kType = Type::kLoginResult;
  static constexpr size_t kFds = 0;
  LoginOutcome outcome;
  bool Valid() const { return outcome >= LoginOutcome::kAccepted && outcome <= LoginOutcome::kPenalized; }
};

// Descriptor: the stream that becomes the backend's 0 and 1. From the broker through the launcher to begin.
struct Stream {
  static constexpr Type kType = Type::kStream;
  static constexpr size_t kFds = 1;
  Text<62> tag;  // of an IMAP login, which the backend answers; the client chose it (RFC 3501 §2.2.1)
  bool Valid() const { return tag.Valid(); }
};

// login = "backend": start the backend, which does the login itself. Descriptor: the stream that becomes its 0 and 1.
struct Launch {
  static constexpr Type kType = Type::kLaunch;
  static constexpr size_t kFds = 1;
  TlsFacts facts;
  bool Valid() const { return facts.Valid(); }
};

// `connect`: a socket that is not connected yet, made for this session. It is sent as soon as the launch line is there,
// so that the broker's worker has it before it is sealed and never receives a descriptor afterwards.
struct BackendSocket {
  static constexpr Type kType = Type::kBackendSocket;
  static constexpr size_t kFds = 1;
  uint32_t unused = 0;
  bool Valid() const { return true; }
};

// Connect that socket to the backend, and say there who the client is if the configuration wants it.
struct Connect {
  static constexpr Type kType = Type::kConnect;
  static constexpr size_t kFds = 0;
  TlsFacts facts;
  bool Valid() const { return facts.Valid(); }
};

// 0: the backend has the stream and runs, or is connected. Else: errno of its exec or of connect(2), and the stream is
// still the broker's alone.
struct Started {
  static constexpr Type kType = Type::kStarted;
  static constexpr size_t kFds = 0;
  int32_t error;
  bool Valid() const { return error >= 0; }
};

// What to watch from now on. Descriptor: a socket that hangs up when nobody is left between client and backend.
struct Tether {
  static constexpr Type kType = Type::kTether;
  static constexpr size_t kFds = 1;
  uint32_t unused = 0;
  bool Valid() const { return true; }
};

// Pass on what the plain side has said so far, then leave it alone.
struct Hold {
  static constexpr Type kType = Type::kHold;
  static constexpr size_t kFds = 0;
  uint32_t unused = 0;
  bool Valid() const { return true; }
};

// That is so now.
struct Held {
  static constexpr Type kType = Type::kHeld;
  static constexpr size_t kFds = 0;
  uint32_t unused = 0;
  bool Valid() const { return true; }
};

enum class Next : uint16_t {
  kRelay = 0,  // the plain side is the backend's: go on
  kLine = 1,   // another Resume comes
  kEnd = 2,    // the session is over
};

// The end of holding. The client is told this line, if there is one, first.
struct Resume {
  static constexpr Type kType = Type::kResume;
  static constexpr size_t kFds = 0;
  Text<500> line;
  Next next;
  bool Valid() const { return line.Valid() && next <= Next::kEnd; }
};

// checkpassword has accepted and become the user, whose name is for the log. Else `error` is why begin goes no further,
// EPERM: the user is root.
struct Authenticated {
  static constexpr Type kType = Type::kAuthenticated;
  static constexpr size_t kFds = 0;
  int32_t error;
  uint32_t unused = 0;
  Text<254> user;
  bool Valid() const { return error >= 0 && user.Valid(); }
};

struct ExecFailed {
  static constexpr Type kType = Type::kExecFailed;
  static constexpr size_t kFds = 0;
  int32_t error;
  bool Valid() const { return error > 0; }
};

// Who may send what to whom. A send that is not a row does not compile; a receiver takes only what is one.
struct Permit {
  Type type;
  Role from, to;
};
inline constexpr Permit kPermits[] = {
    {Type::kReady, Role::kAcceptor, Role::kSupervisor},
    {Type::kReady, Role::kProtocolBroker, Role::kSupervisor},
    {Type::kReady, Role::kTlsWorker, Role::kSupervisor},
    {Type::kReady, Role::kBackendLauncher, Role::kSupervisor},
    {Type::kReady, Role::kLogger, Role::kSupervisor},
    {Type::kDrain, Role::kSupervisor, Role::kAcceptor},
    {Type::kSession, Role::kAcceptor, Role::kProtocolBroker},
    {Type::kLaunchLine, Role::kAcceptor, Role::kBackendLauncher},
    {Type::kStartTls, Role::kProtocolBroker, Role::kTlsWorker},
    {Type::kTlsStarted, Role::kTlsWorker, Role::kProtocolBroker},
    {Type::kLogin, Role::kProtocolBroker, Role::kBackendLauncher},
    {Type::kLoginResult, Role::kBackendLauncher, Role::kProtocolBroker},
    {Type::kStream, Role::kProtocolBroker, Role::kBackendLauncher},
    {Type::kStream, Role::kBackendLauncher, Role::kBegin},
    {Type::kStarted, Role::kBackendLauncher, Role::kProtocolBroker},
    {Type::kAuthenticated, Role::kBegin, Role::kBackendLauncher},
    {Type::kExecFailed, Role::kBegin, Role::kBackendLauncher},
    {Type::kBackendSocket, Role::kBackendLauncher, Role::kProtocolBroker},
    {Type::kLaunch, Role::kProtocolBroker, Role::kBackendLauncher},
    {Type::kConnect, Role::kProtocolBroker, Role::kBackendLauncher},
    {Type::kTether, Role::kProtocolBroker, Role::kBackendLauncher},
    {Type::kResume, Role::kProtocolBroker, Role::kTlsWorker},
    {Type::kHold, Role::kProtocolBroker, Role::kTlsWorker},
    {Type::kHeld, Role::kTlsWorker, Role::kProtocolBroker},
};

constexpr bool Permitted(Type type, Role from, Role to) {
  for (const Permit& permit : kPermits)
    if (permit.type == type && permit.from == from && permit.to == to) return true;
  return false;
}

}  // namespace postern::ipc

#endif  // POSTERN_IPC_MESSAGES_H_
