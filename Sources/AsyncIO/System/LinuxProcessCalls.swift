// SPDX-License-Identifier: Apache-2.0
//
// The calls for child processes as the running kernel answers them.

import CLinux
import Glibc
package import SystemPackage

// SAFETY, for all of this file: pointers are to locals, or to strings that outlive the call, and are not kept.

/// The calls of the running kernel. An interrupted call is repeated.
package struct LinuxProcessCalls: ProcessCalls {
  package init() {}

  package func spawn(_ plan: SpawnPlan) throws(Errno) -> Int32 {
    var actions = unsafe posix_spawn_file_actions_t()
    try Self.throwUnlessZero(unsafe posix_spawn_file_actions_init(&actions))
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    if let directory = plan.directory {
      try Self.throwUnlessZero(unsafe posix_spawn_file_actions_addchdir_np(&actions, directory))
    }
    for step in plan.steps {
      switch step {
      case .duplicate(let source, let target):
        try Self.throwUnlessZero(unsafe posix_spawn_file_actions_adddup2(&actions, source, target))
      case .close(let descriptor):
        try Self.throwUnlessZero(unsafe posix_spawn_file_actions_addclose(&actions, descriptor))
      case .closeFrom(let first):
        try Self.throwUnlessZero(unsafe posix_spawn_file_actions_addclosefrom_np(&actions, first))
      }
    }
    var attributes = posix_spawnattr_t()
    try Self.throwUnlessZero(unsafe posix_spawnattr_init(&attributes))
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    try Self.describe(plan, in: &attributes)
    let words = CStringArray(plan.words)
    var process = pid_t()
    if let environment = plan.environment {
      let variables = CStringArray(environment)
      try Self.throwUnlessZero(
        unsafe posix_spawn(&process, plan.path, &actions, &attributes, words.base, variables.base))
    } else {
      try Self.throwUnlessZero(
        unsafe posix_spawn(&process, plan.path, &actions, &attributes, words.base, clinux_environ()))
    }
    return process
  }

  /// Signals as any program expects them (a thread of Swift's pool blocks them all, and a parent may ignore some), the
  /// group, the session.
  private static func describe(_ plan: SpawnPlan, in attributes: inout posix_spawnattr_t) throws(Errno) {
    var flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
    var set = sigset_t()
    unsafe sigemptyset(&set)
    try throwUnlessZero(unsafe posix_spawnattr_setsigmask(&attributes, &set))
    unsafe sigfillset(&set)
    try throwUnlessZero(unsafe posix_spawnattr_setsigdefault(&attributes, &set))
    if let group = plan.group {
      flags |= POSIX_SPAWN_SETPGROUP
      try throwUnlessZero(unsafe posix_spawnattr_setpgroup(&attributes, group))
    }
    if plan.startsSession { flags |= Int32(CLINUX_SPAWN_SETSID) }
    try throwUnlessZero(unsafe posix_spawnattr_setflags(&attributes, Int16(flags)))
  }

  /// These functions return their error numbers.
  private static func throwUnlessZero(_ number: Int32) throws(Errno) {
    if number != 0 { throw Errno(rawValue: number) }
  }

  package func openProcess(_ number: Int32) throws(Errno) -> Int32 { try retrying { clinux_pidfd_open(number) } }

  package func signal(_ process: ProcessName, _ signal: Int32) throws(Errno) {
    switch process {
    case .descriptor(let descriptor): _ = try retrying { clinux_pidfd_send_signal(descriptor, signal) }
    case .number(let number):
      // The number is the child's until it is reaped, by us; but other code of the process may have done that.
      do throws(Errno) {
        _ = try wait(for: process, blocking: false, reaping: false)
      } catch {
        throw error == .noChildProcess ? .noSuchProcess : error
      }
      _ = try retrying { kill(number, signal) }
    }
  }

  package func wait(
    for process: ProcessName, blocking: Bool, reaping: Bool
  ) throws(Errno) -> ChildExitStatus? {
    let (type, id) =
      switch process {
      case .number(let number): (P_PID, number)
      case .descriptor(let descriptor): (Self.descriptorType, descriptor)
      }
    let options = WEXITED | (blocking ? 0 : WNOHANG) | (reaping ? 0 : WNOWAIT)
    // Zero: what stays so when the child has not ended.
    var info = unsafe siginfo_t()
    _ = try retrying { unsafe waitid(type, id_t(id), &info, options) }
    guard unsafe info._sifields._sigchld.si_pid != 0 else { return nil }
    let status = unsafe info._sifields._sigchld.si_status
    switch unsafe Int(info.si_code) {
    case Int(CLD_EXITED): return .exited(status)
    case Int(CLD_KILLED): return .signalled(status, coreDumped: false)
    case Int(CLD_DUMPED): return .signalled(status, coreDumped: true)
    default: return nil
    }
  }

  /// `P_PIDFD`.
  private static let descriptorType = idtype_t(3)

  package func pipe() throws(Errno) -> (readEnd: Int32, writeEnd: Int32) {
    var ends: [Int32] = [-1, -1]
    _ = try retrying { unsafe pipe2(&ends, Int32(CLINUX_PIPE_CLOEXEC)) }
    return (ends[0], ends[1])
  }

  package func open(_ path: String, _ flags: Int32) throws(Errno) -> Int32 {
    try retrying { unsafe Glibc.open(path, flags | O_CLOEXEC, 0o666) }
  }

  package func duplicate(_ descriptor: Int32, atLeast least: Int32) throws(Errno) -> Int32 {
    try retrying { fcntl(descriptor, F_DUPFD_CLOEXEC, least) }
  }

  package func setNonBlocking(_ descriptor: Int32) throws(Errno) {
    let flags = try retrying { fcntl(descriptor, F_GETFL) }
    _ = try retrying { fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) }
  }
}

/// Strings as C takes a list of them: pointers, and a null at the end.
@safe private struct CStringArray: ~Copyable {
  let base: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
  private let bytes: UnsafeMutablePointer<CChar>

  init(_ strings: [String]) {
    unsafe bytes = .allocate(capacity: strings.reduce(0) { $0 + $1.utf8.count + 1 })
    unsafe base = .allocate(capacity: strings.count + 1)
    var next = unsafe bytes
    for (index, string) in strings.enumerated() {
      // SAFETY: there is room for all bytes, each string's zero, and as many pointers.
      unsafe (base + index).initialize(to: next)
      var string = string
      string.withUTF8 { bytes in
        guard let first = bytes.baseAddress else { return }
        unsafe UnsafeMutableRawPointer(next).copyMemory(from: first, byteCount: bytes.count)
        unsafe next += bytes.count
      }
      unsafe next.initialize(to: 0)
      unsafe next += 1
    }
    unsafe (base + strings.count).initialize(to: nil)
  }

  deinit {
    unsafe base.deallocate()
    unsafe bytes.deallocate()
  }
}
