@0xb7d1c5a8e0f34219;
# What the pycapnp peer speaks.

struct Row {
  name @0 :Text;
  number @1 :Int64;
  price @2 :Float64;
  tag @3 :Text;
  ok @4 :Bool;
}

interface Thing {
  echo @0 (text :Text) -> (text :Text);
}

interface Root {
  echo @0 (text :Text) -> (text :Text);
  echoBytes @1 (data :Data) -> (data :Data);
  echoRows @2 (rows :List(Row)) -> (rows :List(Row));
  swallow @3 (data :Data) -> (size :Int64);
  make @4 () -> (thing :Thing);
  live @5 () -> (count :Int64);
  offer @6 (listener :Thing) -> ();
  relay @7 (text :Text) -> (text :Text);
}
