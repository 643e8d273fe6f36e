mod exact;
mod sim;
mod stock;
