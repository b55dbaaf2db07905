//! Where locks are kept: the [`Backend`] trait and what implements it.
//!
//! [`Memory`] keeps locks in this process, `RedisNode` on one Redis or Valkey
//! server, and [`Redlock`] on a majority of any backends.

mod contract;
mod epochs;
mod holder;
mod memory;
#[cfg(feature = "redis")]
pub(crate) mod redis;
mod redlock;
mod replies;
mod requests;
mod ticket;

#[cfg(feature = "redis")]
pub use self::redis::RedisNode;
pub use self::{
    contract::{Backend, BoxFuture},
    epochs::Epochs,
    holder::Holder,
    memory::Memory,
    redlock::Redlock,
    replies::{AcquireReply, BackendError, CloseReply, ExtendReply, ReleaseReply},
    requests::{AcquireRequest, ExtendRequest, FenceRequest, ReleaseRequest},
    ticket::{Pass, Standing, Ticket, Waiter},
};
pub(crate) use self::{epochs::Epoch, requests::asked};
