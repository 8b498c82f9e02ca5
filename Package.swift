// swift-tools-version: 6.3
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableUpcomingFeature("InferIsolatedConformances"),
  .enableUpcomingFeature("ImmutableWeakCaptures"),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
]

let package = Package(
  name: "swift-asyncio",
  products: [
    .library(name: "AsyncIO", targets: ["AsyncIO"]),
    .library(name: "AsyncIOTesting", targets: ["AsyncIOTesting"]),
    .executable(name: "echo-server", targets: ["echo-server"]),
    .executable(name: "mini-redis", targets: ["mini-redis"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
  ],
  targets: [
    .systemLibrary(
      name: "CLibEvent", path: "CLibEvent",
      pkgConfig: "libevent_core", providers: [.apt(["libevent-dev"])]),
    .systemLibrary(name: "CLinux"),
    .target(
      name: "AsyncIO",
      dependencies: [
        "CLibEvent", "CLinux",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "HeapModule", package: "swift-collections"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: strict),
    // The same loop for tests, with another clock, order and kernel.
    .target(
      name: "AsyncIOTesting",
      dependencies: ["AsyncIO", .product(name: "SystemPackage", package: "swift-system")],
      swiftSettings: strict),
    .executableTarget(
      name: "echo-server",
      dependencies: [
        "AsyncIO",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      path: "Sources/Examples/echo-server", swiftSettings: strict),
    .executableTarget(
      name: "mini-redis",
      dependencies: [
        "AsyncIO",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      path: "Sources/Examples/mini-redis", swiftSettings: strict + [.enableExperimentalFeature("Lifetimes")]),
    // What tests start to see a loop on a main thread: that of the tests themselves is not theirs. No product.
    .executableTarget(
      name: "main-thread-program",
      dependencies: ["AsyncIO", "AsyncIOTesting", .product(name: "SystemPackage", package: "swift-system")],
      path: "Tests/main-thread-program", swiftSettings: strict),
    .testTarget(
      name: "AsyncIOTests",
      dependencies: [
        "AsyncIO",
        "AsyncIOTesting",
        "main-thread-program",
        "mini-redis",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)
