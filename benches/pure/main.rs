//! The pure parts, one by one: `cargo bench --all-features`, or a part by its name behind `--bench pure --`.
//!
//! | module | what is measured |
//! | --- | --- |
//! | `order` | nothing: the orders that the others work on |
//! | `decide` | the rules on a refund |
//! | `encode` | events and records to bytes and back, and the chain over them |
//! | `frame` | a whole hold up to the bytes of its frame, on a disk that is memory |
//! | `calls` | a refund through each adapter: spelled, signed, carried nowhere, answered, understood |
//! | `decode` | each upstream's bodies |
//!
//! Nothing here touches a disk or a network; what those add is measured by `tillbook bench`.

mod calls;
mod decide;
mod decode;
mod encode;
mod frame;
mod order;

fn main() {
    divan::main();
}
