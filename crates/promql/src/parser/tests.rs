mod accepted;
mod rejected;
