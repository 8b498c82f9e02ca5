// SPDX-License-Identifier: Apache-2.0
//
// What a server does: its clients, from the socket to the end of their handlers.

/// A server, for its loop and for the objects that users hold.
///
/// Invariant, and the reason for `@unchecked Sendable`: all that changes belongs to the thread that holds the loop. A
/// client is in `clients` from its acceptance until its task has ended and its connection is closed. The loop holds the
/// core from the start until `close`.
final class ServerCore: LoopDependent, @unchecked Sendable {
  typealias Handler = (Connection, isolated EventLoop) async throws -> Void

  /// A client: its task, which ends after the connection.
  struct Client {
    let connection: Connection
    let task: AnyLoopTask
  }

  let loop: EventLoop
  let options: ServerOptions
  let addresses: [SocketAddress]
  private let site: CreationSite
  private let handler: Handler
  private var listeners: [Listener] = []
  private(set) var clients = IdentityMap<Client>()
  private(set) var isClosed = false
  /// Whether the clients' connections were aborted.
  private var hasAborted = false
  /// Whether the loop runs only for the clients that are here.
  private var isEnding = false
  private let closing = WaitQueue()
  private let emptying = WaitQueue()
  private let shortage = AcceptShortage()

  init(
    _ sockets: [ListeningSocketBox], _ options: ServerOptions, _ site: CreationSite = CreationSite(#fileID, #line),
    on loop: isolated EventLoop, _ handler: @escaping Handler
  ) throws {
    try options.requireValid()
    guard !loop.isClosing else { throw LoopClosedError() }
    self.loop = loop
    self.options = options
    self.site = site
    self.handler = handler
    var addresses: [SocketAddress] = []
    for socket in sockets { addresses.append(try socket.localAddress) }
    self.addresses = addresses
    for socket in sockets {
      listeners.append(try Listener(socket, atMost: min(options.backlog, Listener.batch - 1) + 1, of: self, on: loop))
    }
    loop.hold(self)
  }

  // MARK: Clients

  /// Whether a client is to be taken now.
  var isAccepting: Bool {
    !isClosed && !isEnding && !shortage.isWaiting && clients.count < options.maximumConnections ?? .max
  }

  /// Gives a client a task of its own.
  func serve(_ socket: consuming OwnedSocket, on loop: isolated EventLoop) {
    shortage.ease()
    // It fails for options that are no such, which were looked at, and on a closed loop.
    guard let connection = try? Connection(owning: socket, options: options.stream, site: site, on: loop) else {
      return
    }
    let task = loop.createTask(fileID: site.fileID, line: UInt(site.line)) {
      try await self.run(connection, on: loop)
    }
    clients[ObjectIdentifier(task)] = Client(connection: connection, task: task)
    task.addDoneCallback { [unowned loop] in loop.assumeIsolated { self.hasEnded(task, on: $0) } }
  }

  /// The client's task.
  private func run(_ connection: Connection, on loop: isolated EventLoop) async throws {
    do {
      try await handler(connection, loop)
    } catch is CancellationError {
      // Who asked for it knows.
    } catch let error where connection.stream.isLost(by: error) {
      // A client that leaves is no failure of the handler's.
    } catch is DescriptorClosedError where hasAborted {
      // It went on after it was cancelled, up to here.
    } catch {
      loop.reportException(
        ExceptionContext(
          .connectionHandlerFailed, "the handler of a client failed; its connection is closed", error: error,
          taskName: AnyLoopTask.current?.name))
    }
    try await close(connection)
  }

  /// Closes a client's connection when what was written is sent; or resets it, when the client takes nothing of that for
  /// too long.
  ///
  /// The first cancel does not end the flush: those who ask for it, as ``closeClients(grace:)`` and the end of
  /// `EventLoop.run`, wait for the task, and a client that reads is to get all.
  ///
  /// - Throws: Why that failed. It is the client's business alone.
  private func close(_ connection: Connection) async throws {
    connection.close()
    let stream = connection.stream
    var isAsked = false
    do {
      while stream.life != .closed {
        let left = stream.queue.count
        do {
          return try await stream.untilClosed(by: stream.deadline(after: options.flushLimit))
        } catch is TimeoutError where stream.queue.count < left {
          continue
        } catch is CancellationError where !isAsked && !loop.isClosing {
          isAsked = true
        }
      }
    } catch {
      connection.abort()
      throw error
    }
  }

  private func hasEnded(_ task: AnyLoopTask, on loop: isolated EventLoop) {
    task.countAsRead()
    guard let client = clients.removeValue(forKey: ObjectIdentifier(task)) else { return }
    // Without effect, unless the task was cancelled before its start.
    client.connection.stream.end(nil)
    if clients.isEmpty { emptying.wakeAll() }
    // There is a descriptor, now.
    if shortage.isWaiting { shortage.cancelTimer(on: loop) }
    updateInterest(on: loop)
  }

  // MARK: Listening

  /// Lets the listeners tell of clients, or rest.
  func updateInterest(on loop: isolated EventLoop) {
    for listener in listeners {
      do throws(SystemError) {
        if isAccepting { try listener.resume() } else { listener.pause() }
      } catch {
        pause(for: error, on: loop)
      }
    }
  }

  /// All who had come have been taken.
  func nobodyWaits() { shortage.end() }

  /// Lets the clients wait for a while, since none can be taken now.
  func pause(for error: SystemError, on loop: isolated EventLoop) {
    if shortage.begin(on: loop, whenOver: { [unowned self] loop in updateInterest(on: loop) }) {
      loop.reportException(
        ExceptionContext(
          .acceptFailed, "no client can be taken now; they wait, and are taken when that is over", error: error))
    }
    updateInterest(on: loop)
  }

  // MARK: The end

  func loopIsEnding() {
    isEnding = true
    loop.assumeIsolated { updateInterest(on: $0) }
  }

  func loopIsClosing() { close() }

  var openThing: OpenThing? {
    let addresses = addresses.map { "\($0)" }.joined(separator: ", ")
    return OpenThing(
      .server, "a server at \(addresses)", site: "\(site)", descriptors: listeners.compactMap(\.descriptor))
  }

  func serveForever() async throws {
    if isClosed { throw ServerClosedError() }
    do {
      try await closing.wait(on: loop.executor)
    } catch {
      close()
      throw error
    }
  }

  /// Stops listening. On the loop's thread.
  func close() { loop.assumeIsolated { close(on: $0) } }

  func close(on loop: isolated EventLoop) {
    guard !isClosed else { return }
    isClosed = true
    shortage.cancelTimer(on: loop)
    for listener in listeners { listener.close() }
    listeners = []
    loop.release(self)
    closing.wakeAll()
    if clients.isEmpty { emptying.wakeAll() }
  }

  func closeClients(grace: Duration) async throws {
    close()
    if try await hasEmptied(within: grace) { return }
    for client in clients.values { client.task.cancel(CancellationReason(.shutdown)) }
    if try await hasEmptied(within: grace) { return }
    hasAborted = true
    for client in clients.values { client.connection.abort() }
  }

  private func hasEmptied(within limit: Duration) async throws -> Bool {
    let deadline = loop.timeSource.now.advanced(by: limit)
    do {
      while !clients.isEmpty { try await emptying.wait(on: loop.executor, until: deadline) }
      return true
    } catch is TimeoutError {
      return clients.isEmpty
    }
  }

  func abortClients(on loop: isolated EventLoop) {
    close(on: loop)
    hasAborted = true
    for client in clients.values {
      client.connection.abort()
      client.task.cancel(CancellationReason(.shutdown))
    }
  }

  func waitClosed(_ timeout: Duration?) async throws {
    let deadline = timeout.map { loop.timeSource.now.advanced(by: $0) }
    while !isClosed || !clients.isEmpty { try await emptying.wait(on: loop.executor, until: deadline) }
  }
}
