//! Cores that do not fall asleep while something is measured.

use std::{
    env, io,
    process::{self, Child, Command, Stdio},
    thread,
};

/// Keeps the cores awake while it lives, by processes that run only where
/// nobody else wants to: to wake a sleeping core of a virtual machine takes
/// longer than a round trip.
///
/// For one task alone.
/// Many keep the cores busy themselves, and such a process would be in their
/// way: whoever is woken where two want to run may wait for a tick of the
/// scheduler while the other core does nothing but this.
pub(crate) struct Awake(Vec<Child>);

impl Awake {
    pub(crate) fn during(tasks: usize) -> Option<Self> {
        (tasks == 1).then(Self::begin)
    }

    fn begin() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let spin = |_| {
            // Idle priority, by the program that every Linux has for it.
            let mut command = Command::new("chrt");
            command
                .args(["--idle", "0"])
                .arg(env::current_exe().ok()?)
                .arg("spin");
            command.stdin(Stdio::piped()).spawn().ok()
        };
        Self((0..cores).filter_map(spin).collect())
    }

    /// What such a process does, until its parent is gone.
    pub(crate) fn spin() -> ! {
        thread::spawn(|| {
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            process::exit(0);
        });
        loop {
            std::hint::spin_loop();
        }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
