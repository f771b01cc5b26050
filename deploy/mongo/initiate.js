// Makes the replica set of compose.yaml and its users. Asked again, it changes nothing.
// It runs beside the server (mongosh --nodb initiate.js): to loopback alone, a server without
// users lets the first one be made.
const fs = require('fs');
// Unauthorized and AuthenticationFailed: they do not come right by waiting.
const FOR_GOOD = [13, 18];
const secret = (name) => fs.readFileSync(`/run/secrets/${name}`, 'utf8').trim();

function attempt(what) {
  for (let left = 60; ; left--) {
    try {
      return what();
    } catch (error) {
      if (left === 0 || FOR_GOOD.includes(error.code)) throw error;
      sleep(1000);
    }
  }
}

const admin = attempt(() => connect('mongodb://127.0.0.1:27017/admin?directConnection=true'));

function initiate() {
  try {
    admin.adminCommand({ replSetInitiate: { _id: 'rs0', members: [{ _id: 0, host: 'mongo:27017' }] } });
    print('the replica set is made');
  } catch (error) {
    if (!['AlreadyInitialized', 'Unauthorized'].includes(error.codeName)) throw error;
  }
  while (!admin.hello().isWritablePrimary) sleep(500);
}

function makeUser(user, pwd, roles) {
  try {
    admin.createUser({ user, pwd, roles });
    print(`the user ${user} is made`);
  } catch (error) {
    // 51003: there is one of this name. Unauthorized: there are users, so this is not the first.
    if (error.code !== 51003 && error.codeName !== 'Unauthorized') throw error;
  }
}

attempt(initiate);
makeUser('root', secret('mongo_root_password'), ['root']);
admin.auth('root', secret('mongo_root_password'));
makeUser('pisync', secret('mongo_password'), [{ role: 'readWrite', db: 'pisync' }]);
print('MongoDB is ready');
