//! Ports that no other test is given as long as they are held.

use std::{
    env,
    fs::{self, File},
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    path::Path,
};

/// Below those a system gives to sockets that ask for any port (32768 and up on Linux, 49152 and up elsewhere): a
/// port of these is still free by the time a program that was told it listens there.
const RANGE: Range<u16> = 10_240..32_000;

/// Places looked at before giving up: each is free unless some program or test has it.
const TRIED_MAX: u32 = 1_000;

/// Ports, one after the other, that nothing listens on, and that no other test on this host is given before this
/// value is dropped.
#[derive(Debug)]
pub struct TestPorts {
    first: u16,
    /// Locked as long as they are open.
    _locks: Vec<File>,
}

impl TestPorts {
    /// So many of them.
    ///
    /// # Panics
    /// Where there are none, or the folder of locks cannot be written.
    pub fn new(count: u16) -> Self {
        let folder = env::temp_dir().join("crabnode-test-ports");
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let random = RandomState::new();
        (0..TRIED_MAX)
            .find_map(|nth| {
                let places = u64::from(RANGE.end - count - RANGE.start);
                let place = u16::try_from(random.hash_one(nth) % places).expect("less than 65,536");
                let first = RANGE.start + place;
                let locks = (first..first + count).map(|port| lock(&folder, port)).collect::<Option<_>>()?;
                Some(Self { first, _locks: locks })
            })
            .unwrap_or_else(|| {
                panic!("no free ports in {RANGE:?}, or {} cannot be written", folder.display())
            })
    }

    /// The lowest, the only one of one.
    pub fn first(&self) -> u16 {
        self.first
    }
}

/// None where something listens there or another has the lock. A lock of another user's is taken for one in use.
fn lock(folder: &Path, port: u16) -> Option<File> {
    let file = File::create(folder.join(port.to_string())).ok()?;
    file.try_lock().ok()?;
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).ok()?;
    Some(file)
}
