//! The threads that make swap files and activate them before a case needs one.

use super::areas::Place;
use super::image::Image;
use super::stock::{Retirement, Stock, Stocked};
use super::system::HostSystem;
use crate::case::prepare::make_written;
use crate::case::trace::{Recorder, Trace};
use crate::mechanism::{Mechanism, SIZE};
use crate::reach::Kind;
use crate::system::System;
use crate::verdict::Trouble;
use crate::words;
use iomap_reference::{Call, Caller};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// The number of threads that make files. One of them can work while another one waits for the disk in fsync(2).
const MAKING: usize = 3;

/// Files in the state, ready for cases.
pub(crate) struct Pool {
    stock: Stock,
    makers: Vec<JoinHandle<()>>,
    ended: Arc<AtomicBool>,
    retirement: Arc<Retirement>,
}

impl Pool {
    /// Starts making files on a file system.
    pub(crate) fn new(image: &Arc<Image>, retirement: &Arc<Retirement>) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(MAKING);
        let ended = Arc::new(AtomicBool::new(false));
        let makers = (0..MAKING).map(|number| {
            let maker = Maker {
                directory: format!("ready-{number}"),
                image: image.clone(),
                retirement: retirement.clone(),
                sender: sender.clone(),
                ended: ended.clone(),
            };
            std::thread::Builder::new().spawn(move || maker.run())
        });
        let makers = makers.collect::<io::Result<_>>()?;
        Ok(Self { stock: Stock::new(receiver), makers, ended, retirement: retirement.clone() })
    }

    /// The files that are ready.
    pub(crate) fn stock(&self) -> &Stock {
        &self.stock
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // The makers end one after another. A file that they made and that no case took is active, and has to be
        // deactivated too.
        while let Some(made) = self.stock.next() {
            made.into_iter().for_each(|Stocked { descriptors, place, .. }| self.retirement.send(descriptors, place));
        }
        for maker in self.makers.drain(..) {
            let _ = maker.join();
        }
    }
}

struct Maker {
    directory: String,
    image: Arc<Image>,
    retirement: Arc<Retirement>,
    sender: SyncSender<Result<Stocked, Trouble>>,
    ended: Arc<AtomicBool>,
}

impl Maker {
    fn run(self) {
        let place = self.image.root().join(&self.directory);
        if let Err(error) = std::fs::create_dir(&place) {
            let _ = self.sender.send(Err(Trouble::Setup(format!("{}: {error}", place.display()))));
            return;
        }
        let mut number = 0;
        while !self.ended.load(Ordering::Relaxed) {
            number += 1;
            let made = self.make(&place, number, self.retirement.areas().take_for_pool());
            let failed = made.is_err();
            // The pool receives until the last maker has ended.
            let _ = self.sender.send(made);
            if failed {
                return;
            }
        }
    }

    fn make(&self, directory: &Path, number: usize, place: Place) -> Result<Stocked, Trouble> {
        let site = (Kind::Host, Arc::default());
        let system = HostSystem::new(directory.into(), &self.image, None, &self.retirement, None, site);
        let trace = Trace::default();
        let recorder = Recorder::new(&system, trace.clone());
        // The directory of a case lies beside this one, so the name is valid in both.
        let name = format!("../{}/{number}", self.directory);
        let file = make_written(&recorder, Mechanism::Swapfile, &name, &Mechanism::Swapfile.header(), SIZE)?;
        let call = Call::Swapon { fd: file.fd };
        let outcome = recorder.call(Caller::Privileged, &call);
        outcome.map_err(|errno| Trouble::Setup(format!("{call}: {}", words::name(errno))))?;
        Ok(Stocked { descriptors: system.release(&file), file, steps: trace.steps().0, place })
    }
}
