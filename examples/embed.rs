//! A world in an ordinary Rust program: an actor that keeps a sum, asked and told from outside.

use physics_world::runtime::host::HostFunction;
use physics_world::source::load_jue;
use physics_world::{Datum, World};

const SOURCE: &str = "
(defn account [balance]
  (let loop ((balance balance))
    (let ((change (receive)))
      (if (< (+ balance change) 0)
          (begin (host-call 'log \"refused:\" change) (reply balance) (loop balance))
          (begin (reply (+ balance change)) (loop (+ balance change)))))))
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut world = World::builder()
        .host(HostFunction::output("log", |call| {
            println!("actor {} says {}", call.from(), call.text());
        }))
        .build()?;
    let program = load_jue(&mut world, "account.jue", SOURCE)?;
    let account = world.spawn_function(program, "account", &[Datum::Int(100)])?;
    for change in [20, -70, -80] {
        let balance = world.ask(account, &Datum::Int(change))?;
        println!("{change:+} -> {balance:?}");
    }
    Ok(())
}
