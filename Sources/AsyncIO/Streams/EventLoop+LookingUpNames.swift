// SPDX-License-Identifier: Apache-2.0
//
// Names of hosts, looked up on the threads that the loop has for that.

/// The addresses of a host: asyncio's `getaddrinfo`. See ``EventLoop/lookUp(host:port:family:timeout:)``.
public func lookUp(
  host: String, port: Int, family: SocketAddress.Family? = nil, timeout: Duration? = nil
) async throws -> [SocketAddress] {
  try await EventLoop.running.lookUp(host: host, port: port, family: family, timeout: timeout)
}

extension EventLoop {
  /// Finds the addresses of a host, the best first. asyncio's `getaddrinfo`.
  ///
  /// A literal address is its own answer, at once. A name is asked of the system (`getaddrinfo(3)`) on one of at most
  /// ``Configuration/maximumLookUpThreads`` threads, which do nothing else: a slow name server holds up other names at
  /// most, and those only when it has all of the threads. Names are asked for in the order of the calls.
  ///
  /// - Parameters:
  ///   - host: An address or a name, of at most 253 bytes.
  ///   - port: 0 to 65535: that of the addresses.
  ///   - family: `nil` for any.
  ///   - timeout: How long it may take; `nil` for as long as it takes. What is said of a cancel holds for its end, too.
  /// - Cancellation: The wait ends at once. A look-up that waits for a thread is not begun; one that is under way goes on,
  ///   and its answer is dropped. The end of the loop waits for neither.
  /// - Throws: ``InvalidArgumentError`` for what can be no name; ``NameLookupError``; ``SystemError`` when there are no
  ///   threads left; ``TimeoutError``.
  public func lookUp(
    host: String, port: Int, family: SocketAddress.Family? = nil, timeout: Duration? = nil
  ) async throws -> [SocketAddress] {
    let deadline = timeout.map { timeSource.now.advanced(by: $0) }
    return try await lookUp(host: host, port: port, family: family, until: deadline)
  }

  /// The same, with an end: ``TimeoutError``.
  func lookUp(
    host: String, port: Int, family: SocketAddress.Family? = nil, until deadline: Deadline?
  ) async throws -> [SocketAddress] {
    let number = try SocketAddress.checked(port: port)
    if let literal = SocketAddress.literal(host, number) {
      guard family == nil || literal.family == family else { throw NameLookupError(host, .noAddress) }
      return [literal]
    }
    let name = try HostName(host)
    let answer = try runInExecutor(lookUpPool) { [nameLookup] in try nameLookup.addresses(of: name, family) }
    let timer = deadline.map { executor.timers.arm(at: $0) { try? answer.setError(TimeoutError()) } }
    defer { if let timer { _ = executor.timers.cancel(timer) } }
    return try await answer.value.map { $0.with(port: port) }
  }
}
